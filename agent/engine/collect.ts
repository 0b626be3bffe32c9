// What is no longer needed: old generations, trees that no generation points to, staging of updates that are over, journals of long ago, downloads.
import { dirname, join } from 'node:path'
import { makeDirDurable, removeDurable, removeLeftovers, renameDurable } from '../../keys/platform/durable.ts'
import { generationDir } from '../paths.ts'
import { isMissing, type Layout, listGenerations, loadGeneration, readCurrent } from './layout.ts'

const KEPT_UPDATES = 100

export interface CollectRequest {
  /** Generations to keep at least. */
  readonly keep: number
  /** Generations that stay whatever their age: where a rollback returns to. */
  readonly needed: readonly number[]
  /** The update that runs: its journal and plan stay. */
  readonly updateId: string
}

/** Which generations may go: not the current one, none that is needed, and none of the newest `keep`. */
export function decideSuperfluous(
  all: readonly number[],
  current: number | null,
  needed: readonly number[],
  keep: number,
): readonly number[] {
  const newest = [...all].sort((a, b) => b - a).slice(0, Math.max(1, keep))
  return all.filter((number) => number !== current && !needed.includes(number) && !newest.includes(number))
}

/** Removes it. May be repeated; a cut leaves nothing that looks whole and is not. Rejects with PlatformError or ShapeError, and then removes no more. */
export async function collect(layout: Layout, request: CollectRequest): Promise<void> {
  const current = await readCurrent(layout)
  if (current === 'unreadable') return
  for (const number of decideSuperfluous(await listGenerations(layout), current, request.needed, request.keep))
    await removeGeneration(layout, number)
  await emptyStaging(layout)
  await removeLooseTrees(layout)
  await removeDurable(layout.disk, layout.paths.downloads)
  await removeOldUpdates(layout, request.updateId)
  for (const folder of [layout.paths.root, layout.paths.state]) await removeLeftovers(layout.disk, folder)
}

/** Out of sight with one rename first, so that no cut leaves half a generation. */
export async function removeGeneration(layout: Layout, number: number): Promise<void> {
  await moveToTrash(layout, generationDir(layout.paths, number), `generation-${number}`)
}

/** Whatever lies in staging belongs to no running update. Only under the update lock. */
export async function emptyStaging({ disk, paths }: Layout): Promise<void> {
  await removeDurable(disk, paths.staging)
}

/** Trees that no generation points to. If any generation can't be read, nothing is removed. */
async function removeLooseTrees(layout: Layout): Promise<void> {
  const { disk, paths } = layout
  const used = new Set<string>()
  for (const number of await listGenerations(layout)) used.add((await loadGeneration(layout, number)).tree)
  for (const { name } of await namesIn(layout, paths.store)) {
    if (!used.has(name)) await moveToTrash(layout, join(paths.store, name), name)
  }
  await disk.removeTree(paths.staging)
}

/** Gone with one durable rename; only then emptied. */
async function moveToTrash({ disk, paths }: Layout, path: string, name: string): Promise<void> {
  const trash = join(paths.staging, `trash-${name}`)
  await makeDirDurable(disk, paths.staging, 0o700)
  await disk.removeTree(trash)
  try {
    await disk.syncDir(dirname(path)) // its name may be as young as the crash: it must not come back after it has left
    await renameDurable(disk, path, trash)
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  await disk.removeTree(trash)
}

/** Ids end in their time, so the newest are known without opening a file. */
async function removeOldUpdates(layout: Layout, running: string): Promise<void> {
  const names = (await namesIn(layout, layout.paths.updates))
    .map(({ name }) => name)
    .sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1))
  for (const name of names.slice(KEPT_UPDATES)) {
    if (name !== running) await removeDurable(layout.disk, join(layout.paths.updates, name))
  }
}

function timeOf(updateId: string): string {
  return updateId.slice(-15)
}

async function namesIn({ disk }: Layout, folder: string) {
  return disk.list(folder).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
}
