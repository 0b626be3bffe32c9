// The engine: one update from plan to end, and the same from wherever a crash left it.
//
//   const outcome = await runUpdate(deps, plan, verified, { signal, onEvent })
//   const recovery = await recover(deps, { onEvent })        // first thing after every start, before anything starts the service
//
// The loop is short: look, ask the machine (machine.ts) what to do, write down the intent, do it (steps.ts), write down how it went.
// The update lock is held all the time; whoever took it earlier, to build the plan under it, hands it over in the options.
import { join } from 'node:path'
import type { Disk } from '../../keys/platform/disk.ts'
import { createFileDurable, makeDirDurable, removeDurable, replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { Verified } from '../../keys/verified.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { updateFiles } from '../paths.ts'
import { emptyStaging } from './collect.ts'
import type { EngineDeps, HeldLock, RunOptions } from './deps.ts'
import { type Journal, JournalError, openJournal, readJournal } from './journal.ts'
import { exists, isMissing, jsonBytes, parseJsonFile, readCurrent, sha256Of } from './layout.ts'
import { decideNext, failure, type Next, type Observed } from './machine.ts'
import type { Outcome, Reason } from './outcome.ts'
import { type Plan, planShape, type StepName } from './plan.ts'
import { checkPlan } from './preflight.ts'
import { reasonOf } from './reason.ts'
import { buildSession, type Session } from './session.ts'
import { isBackward, performStep } from './steps.ts'

/**
 * Carries out the plan. Every end that an update can come to is an Outcome; rejects only for what is wrong in this program.
 * `verified` is null only for a rollback, whose release was verified when it was installed.
 */
export async function runUpdate(
  deps: EngineDeps,
  plan: Plan,
  verified: Verified<Manifest> | null,
  options: RunOptions = {},
): Promise<Outcome> {
  const ended = { update_id: plan.update_id, from: plan.from?.version ?? null, to: plan.to }
  const refused = (reason: Reason): Outcome => ({ kind: 'refused', ...ended, reason })
  let lock: HeldLock | undefined
  try {
    lock = options.lock ?? (await deps.takeLock(deps.paths.updateLock))
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'locked')
      return refused(failure('locked', 'preflight', error.message))
    return refused(reasonOf(error, 'preflight'))
  }
  try {
    const session = buildSession(deps, plan, verified, options)
    session.phase('preflight', 'started')
    const reason = await preflight(session)
    session.phase('preflight', reason ? 'failed' : 'done', reason?.message)
    if (reason) return refused(reason)
    const journal = await begin(session).catch((error: unknown) => reasonOf(error, 'preflight'))
    if ('code' in journal) {
      await forget(deps, plan.update_id)
      return refused(journal)
    }
    return await drive({ ...session, journal })
  } catch (error) {
    if (!(error instanceof NeedsOperator)) throw error
    // The journal stays open: recovery says the same until a person has put `current` right.
    const back = failure('interrupted', null, 'neither forward nor back is safe')
    return { kind: 'stranded', ...ended, reason: failure('interrupted', null, error.message), back }
  } finally {
    if (!options.lock) await lock.release()
  }
}

export type Recovery =
  /** Nothing was left open. */
  | { readonly kind: 'clean' }
  /** An update that a crash had cut was brought to its end. */
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /** Another process is at it right now. */
  | { readonly kind: 'locked'; readonly message: string }
  /** Neither forward nor back is safe: nothing is started or switched until a person has looked. */
  | { readonly kind: 'needs_operator'; readonly update_id: string; readonly message: string }

/**
 * Brings whatever a crash cut to its end. Must have ended with `clean` or `finished` before anything starts the service.
 * Rejects with PlatformError or ShapeError where not even that can be found out.
 */
export async function recover(
  deps: EngineDeps,
  options: Pick<RunOptions, 'onEvent' | 'lock' | 'keep'> = {},
): Promise<Recovery> {
  let lock: HeldLock
  try {
    lock = options.lock ?? (await deps.takeLock(deps.paths.updateLock))
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'locked') return { kind: 'locked', message: error.message }
    throw error
  }
  try {
    const [updateId] = await findUndecided(deps)
    return updateId === undefined ? { kind: 'clean' } : await recoverOne(deps, updateId, options)
  } finally {
    if (!options.lock) await lock.release()
  }
}

async function preflight(session: Session): Promise<Reason | null> {
  try {
    const { disk, paths } = session.deps
    await ensureDir(disk, paths.root, 0o755)
    await ensureDir(disk, paths.state, 0o700)
    if (await exists(disk, updateFiles(paths, session.plan.update_id).dir)) {
      return failure('stale_plan', 'preflight', `there was an update ${session.plan.update_id} already`)
    }
    const [open] = await findUndecided(session.deps)
    if (open !== undefined)
      return failure('undecided', 'preflight', `${open} was cut off and has to be recovered first`)
    return session.stop() ?? (await checkPlan(session))
  } catch (error) {
    return reasonOf(error, 'preflight')
  }
}

/** Without touching what is there: a parent may belong to somebody else. */
async function ensureDir(disk: Disk, path: string, mode: number): Promise<void> {
  try {
    await disk.stat(path)
  } catch (error) {
    if (!isMissing(error)) throw error
    await makeDirDurable(disk, path, mode)
  }
}

/** From here on there is something to recover. The plan is durable before the journal, and the mark that keeps the supervisor still before both are. */
async function begin({ deps, plan }: Session): Promise<Journal> {
  const { disk, paths } = deps
  const files = updateFiles(paths, plan.update_id)
  await makeDirDurable(disk, files.dir, 0o700)
  const bytes = jsonBytes(plan)
  await createFileDurable(disk, files.plan, bytes, 0o600)
  await replaceFile(disk, paths.undecided, Buffer.from(`${plan.update_id}\n`), 0o600)
  const journal = await openJournal({ disk, clock: deps.clock, bootId: deps.host.bootId }, files.journal)
  if (await journal.append({ phase: 'DECIDE', decision: { to: 'begin', plan_sha256: sha256Of(bytes) } })) return journal
  await journal.close()
  throw journal.lost ?? new JournalError('the journal could not be begun')
}

/** Takes back what `begin` made. What can't be removed now, recovery removes: a journal without records means that nothing was done. */
async function forget({ disk, paths }: EngineDeps, updateId: string): Promise<void> {
  await removeDurable(disk, updateFiles(paths, updateId).dir).catch(() => undefined)
  await removeMark({ disk, paths }).catch(() => undefined)
}

/** The loop. */
async function drive(session: Session & { readonly journal: Journal }): Promise<Outcome> {
  const { deps, plan, journal } = session
  let current: Observed['current'] | undefined
  try {
    for (;;) {
      current = await look(deps, current)
      const observed = { current, stop: session.stop(), journalLost: journal.lost !== null }
      const next = decideNext(
        plan,
        journal.records.map(({ entry }) => entry),
        observed,
      )
      const outcome = await follow(session, next)
      if (outcome) return outcome
    }
  } finally {
    await journal.close()
  }
}

/** Where `current` points. A disk that can't even be read now does not make us forget what we knew. */
async function look(deps: EngineDeps, known: Observed['current'] | undefined): Promise<Observed['current']> {
  try {
    return await readCurrent(deps)
  } catch (error) {
    if (known === undefined) throw error
    return known
  }
}

/** One instruction; an outcome if it was the last. */
async function follow(session: Session & { readonly journal: Journal }, next: Next): Promise<Outcome | undefined> {
  const { plan, journal } = session
  switch (next.kind) {
    case 'step':
      await takeStep(session, next.step, next.attempt)
      return undefined
    case 'go-back':
      session.log(next.reason.step, 'error', next.reason.message)
      await journal.append({ phase: 'DECIDE', decision: { to: 'go-back', reason: next.reason } })
      return undefined
    case 'end': {
      const durable = await journal.append({ phase: 'DECIDE', decision: { to: 'end', outcome: next.outcome } })
      if (durable) await removeMark(session.deps).catch(() => undefined) // recovery removes it too
      return next.outcome
    }
    case 'ended':
      await removeMark(session.deps).catch(() => undefined)
      return next.outcome
    case 'operator':
      throw new NeedsOperator(plan.update_id, next.message)
    default:
      return unreachable(next)
  }
}

async function takeStep(
  session: Session & { readonly journal: Journal },
  step: StepName,
  attempt: number,
): Promise<void> {
  const { journal } = session
  const recorded = await journal.append({ phase: 'INTENT', step, attempt })
  if (!recorded && !isBackward(step)) {
    // An effect that no journal knows of must not happen. On the way back it may: recovery goes back whatever is written.
    await journal.append({
      phase: 'DECIDE',
      decision: {
        to: 'go-back',
        reason: failure('io', step, `the journal can not be written: ${journal.lost?.message}`),
      },
    })
    return
  }
  session.phase(step, 'started')
  try {
    const { facts, skipped } = await performStep(session, step)
    journal.note({ phase: 'DONE', step, attempt, facts })
    session.phase(step, skipped ? 'skipped' : 'done')
  } catch (error) {
    const reason = (isBackward(step) ? null : session.stop()) ?? reasonOf(error, step)
    await journal.append({ phase: 'FAIL', step, attempt, reason: { ...reason, step } })
    session.phase(step, 'failed', reason.message)
  }
}

class NeedsOperator extends Error {
  override readonly name = 'NeedsOperator'
  readonly updateId: string

  constructor(updateId: string, message: string) {
    super(message)
    this.updateId = updateId
  }
}

/** Updates whose journal has no end, the marked one first. A damaged journal counts only if it is marked: others were closed before they rotted. */
async function findUndecided({ disk, paths }: EngineDeps): Promise<readonly string[]> {
  const marked = await disk.readFile(paths.undecided, 4096).then(
    (bytes) => Buffer.from(bytes).toString('utf8').trim(),
    (error: unknown) => {
      if (isMissing(error)) return null
      throw error
    },
  )
  const names = await disk.list(paths.updates).then(
    (entries) => entries.map(({ name }) => name),
    (error: unknown) => {
      if (isMissing(error)) return []
      throw error
    },
  )
  const open: string[] = []
  for (const name of names) {
    if (name !== marked && (await isOpen({ disk, paths }, name))) open.push(name)
  }
  return marked === null ? open : [marked, ...open]
}

async function isOpen({ disk, paths }: Pick<EngineDeps, 'disk' | 'paths'>, updateId: string): Promise<boolean> {
  try {
    const text = await readJournal(disk, updateFiles(paths, updateId).journal)
    if (text.kind === 'damaged') return false
    const last = text.records.at(-1)?.entry
    return !(last?.phase === 'DECIDE' && last.decision.to === 'end')
  } catch (error) {
    if (isMissing(error)) return true // cut off before its first record
    throw error
  }
}

async function recoverOne(deps: EngineDeps, updateId: string, options: RunOptions): Promise<Recovery> {
  const { disk, paths } = deps
  const files = updateFiles(paths, updateId)
  const needsOperator = (message: string): Recovery => ({ kind: 'needs_operator', update_id: updateId, message })
  if (!/^update_[0-9A-Za-z.+_-]+$/.test(updateId)) return needsOperator(`${paths.undecided} names no update`)
  const text = await readJournal(disk, files.journal).catch((error: unknown) => {
    if (isMissing(error)) return { kind: 'whole' as const, records: [], goodBytes: 0 }
    throw error
  })
  if (text.kind === 'damaged')
    return needsOperator(`${files.journal}: line ${text.line} is damaged and good lines follow it`)
  const first = text.records[0]?.entry
  const last = text.records.at(-1)?.entry
  if (last?.phase === 'DECIDE' && last.decision.to === 'end') {
    await removeMark(deps)
    return recoverNext(deps, options)
  }
  if (first === undefined) {
    // Nothing was recorded, so nothing was done.
    await removeDurable(disk, files.dir)
    await emptyStaging(deps)
    await removeMark(deps)
    return recoverNext(deps, options)
  }
  const read = await readPlan(deps, updateId).catch((error: unknown) => {
    if (error instanceof ShapeError || isMissing(error)) return error instanceof Error ? error.message : 'missing'
    throw error
  })
  if (typeof read === 'string') return needsOperator(read)
  if (first.phase !== 'DECIDE' || first.decision.to !== 'begin' || first.decision.plan_sha256 !== read.sha256) {
    return needsOperator(`${files.plan} is not the plan that ${files.journal} was begun with`)
  }
  const { plan } = read
  const journal = await openJournal({ disk, clock: deps.clock, bootId: deps.host.bootId }, files.journal)
  const session = { ...buildSession(deps, plan, null, options), journal }
  try {
    await journal.append({ phase: 'DECIDE', decision: { to: 'recover' } })
    return { kind: 'finished', outcome: await drive(session) }
  } catch (error) {
    if (error instanceof NeedsOperator) return needsOperator(error.message)
    throw error
  }
}

/** After one that never began: is there another? */
async function recoverNext(deps: EngineDeps, options: RunOptions): Promise<Recovery> {
  const [updateId] = await findUndecided(deps)
  return updateId === undefined ? { kind: 'clean' } : recoverOne(deps, updateId, options)
}

/** The plan of an update. Throws PlatformError (`not-found`) or ShapeError. */
export async function loadPlan(at: Pick<EngineDeps, 'disk' | 'paths'>, updateId: string): Promise<Plan> {
  return (await readPlan(at, updateId)).plan
}

async function readPlan(
  { disk, paths }: Pick<EngineDeps, 'disk' | 'paths'>,
  updateId: string,
): Promise<{ plan: Plan; sha256: string }> {
  const file = updateFiles(paths, updateId).plan
  const bytes = await disk.readFile(file, MAX_PLAN_BYTES)
  return { plan: parseShape(planShape, parseJsonFile(file, bytes), file), sha256: sha256Of(bytes) }
}

/** A plan holds a whole manifest. */
const MAX_PLAN_BYTES = 32 << 20

/** Whether an update is open: running now, or cut off. Reads only. */
export async function isUndecided({ disk, paths }: Pick<EngineDeps, 'disk' | 'paths'>): Promise<boolean> {
  return exists(disk, paths.undecided)
}

async function removeMark({ disk, paths }: Pick<EngineDeps, 'disk' | 'paths'>): Promise<void> {
  try {
    await disk.unlink(paths.undecided)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  await disk.syncDir(join(paths.undecided, '..'))
}
