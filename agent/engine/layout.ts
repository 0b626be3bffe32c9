// What lies on the host: generations, the link that says which one counts, and the release trees that they point to.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { z } from 'zod'
import type { Disk, FileFacts } from '../../keys/platform/disk.ts'
import { replaceSymlink } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { type Manifest, manifestShape } from '../../schema/manifest.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { currentTarget, generationDir, type Paths } from '../paths.ts'
import { type Generation, generationShape, type Plan } from './plan.ts'

/** What of a host the functions here look at. */
export interface Layout {
  readonly disk: Disk
  readonly paths: Paths
}

const MAX_GENERATION_BYTES = 1 << 20
const MAX_MANIFEST_BYTES = 16 << 20

/** The generation that `current` points to, null where there is no link, `unreadable` where it is no link to a generation. */
export async function readCurrent({ disk, paths }: Layout): Promise<number | null | 'unreadable'> {
  const target = await disk.readLink(paths.current).catch(async (error: unknown) => {
    if (isMissing(error)) return null
    // readlink of a file or folder says EINVAL: something else stands where the link belongs.
    if ((await disk.lstat(paths.current)).kind !== 'symlink') return 'unreadable'
    throw error
  })
  if (target === null) return null
  const number = /^generations\/([1-9]\d{0,14})$/.exec(target)?.[1]
  return number === undefined ? 'unreadable' : Number(number)
}

/** What is installed, null before the first installation. Throws ShapeError or PlatformError where `current` leads to nothing usable. */
export async function loadInstalled(layout: Layout): Promise<Generation | null> {
  const current = await readCurrent(layout)
  if (current === null) return null
  if (current === 'unreadable')
    throw new ShapeError(layout.paths.current, [{ pointer: '', message: 'expected a link to generations/<number>' }])
  return loadGeneration(layout, current)
}

/** `generations/<n>/generation.json`. Throws PlatformError `not-found` or ShapeError. */
export async function loadGeneration({ disk, paths }: Layout, number: number): Promise<Generation> {
  const file = join(generationDir(paths, number), 'generation.json')
  const generation = parseShape(
    generationShape,
    parseJsonFile(file, await disk.readFile(file, MAX_GENERATION_BYTES)),
    file,
  )
  if (generation.number === number) return generation
  throw new ShapeError(file, [{ pointer: '/number', message: `expected ${number}` }])
}

/** The manifest that a generation was installed from, byte for byte what was signed. Throws PlatformError `not-found` or ShapeError. */
export async function loadManifest({ disk, paths }: Layout, generation: Generation): Promise<Manifest> {
  const file = join(generationDir(paths, generation.number), 'manifest.json')
  const bytes = await disk.readFile(file, MAX_MANIFEST_BYTES)
  if (sha256Of(bytes) !== generation.manifest_sha256) {
    throw new ShapeError(file, [{ pointer: '', message: `expected SHA-256 ${generation.manifest_sha256}` }])
  }
  return parseShape(manifestShape, parseJsonFile(file, bytes), file)
}

/** All generation numbers that have a folder, ascending. */
export async function listGenerations({ disk, paths }: Layout): Promise<readonly number[]> {
  const entries = await disk.list(paths.generations).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  return entries
    .filter(({ kind, name }) => kind === 'directory' && /^[1-9]\d{0,14}$/.test(name))
    .map(({ name }) => Number(name))
    .sort((a, b) => a - b)
}

/** A number that no generation here has or had: one more than the greatest. */
export async function nextGeneration(layout: Layout): Promise<number> {
  const current = await readCurrent(layout)
  return Math.max(0, typeof current === 'number' ? current : 0, ...(await listGenerations(layout))) + 1
}

/**
 * The flip: `current` leads to this generation, durably; with null there is no `current`. Wholly the old or wholly the new link at every moment.
 * Repeating it is harmless and makes durable what somebody else began.
 */
export async function switchCurrent(layout: Layout, generation: number | null): Promise<void> {
  const { disk, paths } = layout
  if ((await readCurrent(layout)) === generation) return disk.syncDir(paths.root)
  if (generation === null) {
    await disk.unlink(paths.current)
    return disk.syncDir(paths.root)
  }
  const target = currentTarget(generation)
  if ((await readPrepared(layout)) !== target) return replaceSymlink(disk, paths.current, target)
  await disk.rename(preparedLink(paths), paths.current)
  await disk.syncDir(paths.root)
}

/**
 * Lays out the link for a later flip to this generation, so that the flip itself takes no room: the way back must be open on a full disk too. Resolves with
 * what the disk says of it, which also tells what time it is by the clock of this filesystem.
 */
export async function prepareSwitch(layout: Layout, generation: number): Promise<FileFacts> {
  await forgetPrepared(layout)
  const link = preparedLink(layout.paths)
  await layout.disk.symlink(currentTarget(generation), link)
  return layout.disk.lstat(link)
}

/** Removes what `prepareSwitch` made; nothing there is fine. */
export async function forgetPrepared({ disk, paths }: Layout): Promise<void> {
  await disk.removeTree(preparedLink(paths))
}

function preparedLink({ root }: Paths): string {
  return join(root, '.current.prepared')
}

async function readPrepared({ disk, paths }: Layout): Promise<string | null> {
  try {
    return await disk.readLink(preparedLink(paths))
  } catch {
    return null // not there, or not ours: then a new one is made
  }
}

/** What `generation.json` says about the generation that a plan makes. `tree` is its folder in the store. */
export function buildGeneration(plan: Plan, tree: string, createdAt: string): Generation {
  const { manifest, artifact } = plan
  return {
    schema: 'netlink.generation/v1',
    number: plan.generation.number,
    update_id: plan.update_id,
    product: manifest.product,
    version: manifest.version,
    channel: manifest.channel,
    released_at: manifest.released_at,
    created_at: createdAt,
    manifest_sha256: plan.manifest_sha256,
    artifact_sha256: artifact.sha256,
    tree_sha256: artifact.tree_sha256,
    tree,
    database_version: manifest.database_version,
    config_version: manifest.config_version,
    lock_digests: Object.fromEntries(manifest.dependencies.map(({ manager, sha256 }) => [manager, sha256])),
    service: manifest.service,
    restart_units: manifest.restart_units,
  }
}

export async function exists(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.lstat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof PlatformError && error.code === 'not-found'
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A file of our own as JSON. Throws ShapeError naming the file. */
export function parseJsonFile(file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))
  } catch (cause) {
    throw new ShapeError(file, [{ pointer: '', message: 'expected JSON' }], { cause })
  }
}

/** Reads a small JSON file of ours; undefined where there is none. Throws ShapeError or PlatformError. */
export async function loadJsonFile<T>(disk: Disk, file: string, shape: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await disk.readFile(file, MAX_GENERATION_BYTES).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  return bytes && parseShape(shape, parseJsonFile(file, bytes), file)
}

/** How this project writes its own JSON files. */
export function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
}
