import { updateFiles } from '../paths.ts'
import { loadPlan } from './engine.ts'
import { readJournal } from './journal.ts'
import { isMissing, type Layout } from './layout.ts'

export type RollbackTarget =
  | { readonly kind: 'generation'; readonly number: number; readonly update_id: string }
  | { readonly kind: 'none'; readonly message: string }

/**
 * Where a rollback goes: to the generation that the last committed update left, or the one that this update left. Whether that generation is still
 * there is the next question (`loadGeneration`). Rejects with PlatformError or ShapeError.
 */
export async function findRollbackTarget(layout: Layout, updateId?: string): Promise<RollbackTarget> {
  for (const id of updateId === undefined ? await idsNewestFirst(layout) : [updateId]) {
    if (!(await isCommitted(layout, id))) continue
    const { from } = await loadPlan(layout, id)
    if (from) return { kind: 'generation', number: from.number, update_id: id }
    return { kind: 'none', message: `${id} was the first installation: there is nothing before it` }
  }
  const message = updateId ? `no committed update ${updateId} on this host` : 'nothing was updated on this host yet'
  return { kind: 'none', message }
}

/** Ids end in their time. */
async function idsNewestFirst({ disk, paths }: Layout): Promise<readonly string[]> {
  try {
    const names = (await disk.list(paths.updates)).map(({ name }) => name).filter((name) => name.startsWith('update_'))
    return names.sort((a, b) => (a.slice(-15) < b.slice(-15) ? 1 : -1))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function isCommitted({ disk, paths }: Layout, updateId: string): Promise<boolean> {
  try {
    const text = await readJournal(disk, updateFiles(paths, updateId).journal)
    const last = text.kind === 'damaged' ? undefined : text.records.at(-1)?.entry
    return last?.phase === 'DECIDE' && last.decision.to === 'end' && last.decision.outcome.kind === 'committed'
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}
