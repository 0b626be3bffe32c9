// Who may import whom. The arrows of the architecture, held by a test that reads every import in the tree.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

interface Import {
  readonly file: string
  readonly specifier: string
  /** Path inside the repository for relative imports, package name otherwise. */
  readonly target: string
  /** `import()`: read when it is needed, so it can't close a circle while modules load. */
  readonly isLazy: boolean
}

const sources = ['schema', 'keys', 'publisher', 'server', 'agent'].flatMap((folder) => listSources(join(root, folder)))
const imports = sources.flatMap(readImports)

/** For each area: which areas of the repository it may import besides itself. First match wins, most specific first. */
const allowed: readonly [area: string, may: readonly string[]][] = [
  ['schema/db', ['schema']],
  ['schema', []],
  ['keys', ['schema']],
  ['server/admin', ['schema']],
  ['server/core', ['schema', 'schema/db', 'keys']],
  ['server/store', ['schema', 'schema/db', 'keys', 'server/core']],
  ['server/http', ['schema', 'keys', 'server/core', 'server/ws']],
  ['server/ws', ['schema', 'keys', 'server/core']],
  ['server', ['schema', 'schema/db', 'keys', 'server/core', 'server/store', 'server/http', 'server/ws']],
  ['publisher', ['schema', 'keys']],
  ['agent', ['schema', 'keys']],
]

/** Packages that stand behind one folder or file: a second place is a second opinion about the same thing. */
const behind: Readonly<Record<string, readonly string[]>> = {
  '@noble/ed25519': ['keys'],
  '@noble/hashes': ['keys'],
  'age-encryption': ['keys'],
  'drizzle-orm': ['schema/db', 'server/store', 'server/core'],
  postgres: ['server/store'],
  '@electric-sql/pglite': ['server/store'],
  minio: ['server/store'],
  hono: ['server/http'],
  '@hono/zod-openapi': ['server/http'],
  '@hono/node-server': ['server'],
  ws: ['server/ws', 'agent/report'],
  zod: ['schema', 'server', 'agent', 'publisher'],
  commander: ['server', 'agent', 'publisher'],
  yaml: ['server', 'agent', 'publisher'],
}

describe('layering', () => {
  test('there are sources to look at', () => {
    expect(sources.length).toBeGreaterThan(20)
    expect(imports.length).toBeGreaterThan(40)
  })

  test('every area imports only what lies below it', () => {
    expect(imports.filter((one) => isRelative(one) && !mayImport(one)).map(words)).toEqual([])
  })

  test('schema is pure: no module of the platform', () => {
    expect(
      imports.filter((one) => one.file.startsWith('schema/') && one.specifier.startsWith('node:')).map(words),
    ).toEqual([])
  })

  test('each package is imported behind its own folder', () => {
    const strays = imports.filter(
      (one) => !isRelative(one) && !one.specifier.startsWith('node:') && !isBehindItsFolder(one),
    )
    expect(strays.map(words)).toEqual([])
  })

  test('clock, randomness, environment and console are read at the edges only', () => {
    const edge = /(^|\/)(main|config|clock|worker|supervisor)\.ts$/
    const strays = sources
      .map((file) => relative(root, file))
      .filter((file) => !edge.test(file))
      .flatMap((file) => {
        const code = withoutComments(readFileSync(join(root, file), 'utf8'))
        return [...code.matchAll(/\b(Date\.now\(|Math\.random\(|console\.\w+\(|process\.env\b)/g)].map(
          (hit) => `${file}: ${hit[1]}`,
        )
      })
    expect(strays).toEqual([])
  })

  test('no import runs in a circle', () => {
    expect(findCycle()).toBeUndefined()
  })
})

function listSources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

function readImports(path: string): Import[] {
  const file = relative(root, path)
  const code = withoutComments(readFileSync(path, 'utf8'))
  const found = [...code.matchAll(/(?:^(?:import|export)\b[^'"`;]*?from\s+|^import\s+|\bimport\()'([^'\s]+)'/gm)]
  return found.flatMap(([text, specifier]) =>
    specifier ? [{ file, specifier, target: targetOf(file, specifier), isLazy: text.startsWith('import(') }] : [],
  )
}

function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier))
  const parts = specifier.split('/')
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier)
}

function isRelative(one: Import): boolean {
  return one.specifier.startsWith('.')
}

/** The most specific area of the table that a path lies in. */
function areaOf(path: string): string {
  const names = [...allowed.map(([area]) => area)].sort((a, b) => b.length - a.length)
  return names.find((name) => path.startsWith(`${name}/`)) ?? path
}

function mayImport(one: Import): boolean {
  const from = areaOf(one.file)
  const to = areaOf(one.target)
  if (from === to || one.target === 'package.json') return true
  const rule = allowed.find(([area]) => area === from)
  return rule?.[1].includes(to) ?? false
}

function isBehindItsFolder(one: Import): boolean {
  const places = behind[one.target]
  return places?.some((place) => one.file.startsWith(`${place}/`)) ?? false
}

function words(one: Import): string {
  return `${one.file} imports ${one.specifier}`
}

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

function findCycle(): string[] | undefined {
  const edges = new Map<string, string[]>()
  for (const one of imports)
    if (isRelative(one) && !one.isLazy) edges.set(one.file, [...(edges.get(one.file) ?? []), one.target])
  const done = new Set<string>()
  const walk = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const next of edges.get(file) ?? []) {
      const cycle = walk(next, [...path, file])
      if (cycle) return cycle
    }
    done.add(file)
    return undefined
  }
  for (const file of edges.keys()) {
    const cycle = walk(file, [])
    if (cycle) return cycle
  }
  return undefined
}
