// What must stay small imports little: every static import below these two files, followed to its end.
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const HEAVY = ['zod', 'yaml', '@noble/ed25519', '@noble/hashes', 'commander']

test('the resident daemon imports no shapes, no YAML, no crypto library and no command line', () => {
  const packages = packagesBelow('agent/daemon/main.ts')
  expect(packages).toContain('ws')
  expect(packages.filter((name) => HEAVY.includes(name))).toEqual([])
})

test('`netlink update version` imports the command line and nothing else', () => {
  const packages = [...packagesBelow('agent/main.ts'), ...packagesBelow('agent/commands/version.ts')]
  expect(packages).toEqual(['commander'])
})

/** Packages that are loaded with this file; types are not, and neither is what is imported only when it is needed. */
function packagesBelow(entry: string): string[] {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    const code = readFileSync(join(root, file), 'utf8')
    for (const [, clause = '', specifier = ''] of code.matchAll(/^(?:import|export)\s+([^'";]*?from\s+)?'([^']+)'/gm)) {
      if (clause.startsWith('type ') || specifier.startsWith('node:') || onlyTypes(clause)) continue
      if (specifier.startsWith('.')) visit(relative(root, join(root, dirname(file), specifier)))
      else
        packages.add(
          specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
        )
    }
  }
  visit(entry)
  return [...packages]
}

function onlyTypes(clause: string): boolean {
  const names =
    /\{([^}]*)\}/
      .exec(clause)?.[1]
      ?.split(',')
      .map((name) => name.trim()) ?? []
  const named = names.filter((name) => name !== '')
  return named.length > 0 && named.every((name) => name.startsWith('type '))
}
