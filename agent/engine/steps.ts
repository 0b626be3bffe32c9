// The effect of each step. May be repeated after a crash in its middle wherever the machine repeats it; throws where it fails, and the loop decides.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { makeDirDurable, removeDurable, renameDurable } from '../../keys/platform/durable.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { endWords } from '../health/probe.ts'
import { proveReady, proveStable, takeBaseline, type WatchEnd, type WatchRequest } from '../health/watch.ts'
import { generationDir, storeName, updateFiles } from '../paths.ts'
import {
  appDir,
  type Runnable,
  resolveArgv,
  resolveChecks,
  resolveEnv,
  resolveService,
  variablesOf,
} from '../service/definition.ts'
import { raiseFloor, recordInstalled, recordReturn } from '../version-record.ts'
import { collect, emptyStaging, removeGeneration } from './collect.ts'
import { DEFAULT_KEEP } from './deps.ts'
import { type StepFacts, timeText } from './journal.ts'
import {
  buildGeneration,
  forgetPrepared,
  isMissing,
  jsonBytes,
  listGenerations,
  loadGeneration,
  prepareSwitch,
  readCurrent,
  switchCurrent,
} from './layout.ts'
import { failure, foldEntries, type Progress } from './machine.ts'
import type { EngineCode, Reason } from './outcome.ts'
import { type BackwardStep, backwardSteps, type Generation, type StepName } from './plan.ts'
import { addQuarantine, removeQuarantine } from './quarantine.ts'
import { StepFailure } from './reason.ts'
import type { OpenSession } from './session.ts'
import { loadSite } from './site.ts'
import { hashTree, unpack } from './unpack.ts'

/** What came of a step. `skipped`: there was nothing to do. */
export interface StepEnd {
  readonly facts: StepFacts
  readonly skipped?: boolean
}

const DONE: StepEnd = { facts: {} }
const SKIPPED: StepEnd = { facts: {}, skipped: true }

export function isBackward(step: StepName): step is BackwardStep {
  return backwardSteps.some((name) => name === step)
}

/** Does it. Throws whatever reason.ts turns into words. */
export async function performStep(session: OpenSession, step: StepName): Promise<StepEnd> {
  switch (step) {
    case 'preflight':
      return SKIPPED // done before there was a journal
    case 'download':
      return download(session)
    case 'verify':
      return verify(session)
    case 'unpack':
      return unpackTree(session)
    case 'stage':
      return stage(session)
    case 'check':
      return check(session)
    case 'baseline':
      return baseline(session)
    case 'stop':
      return stop(session)
    case 'switch':
      await switchCurrent(session.deps, session.plan.generation.number)
      return DONE
    case 'start':
      return start(session, newRunnable(session))
    case 'ready':
      return ready(session)
    case 'self_test':
      return selfTest(session)
    case 'stability':
      return stability(session)
    case 'commit':
      return commit(session)
    case 'collect':
      return collectOld(session)
    case 'back_stop':
      return backStop(session)
    case 'back_switch':
      await switchCurrent(session.deps, session.plan.from?.number ?? null)
      return DONE
    case 'back_start':
      return backStart(session)
    case 'back_prove':
      return backProve(session)
    case 'back_record':
      return backRecord(session)
    default:
      return unreachable(step)
  }
}

// ---- getting it here -------------------------------------------------------------------------------------------------------------

/** Nothing is fetched where the store holds the very tree already: an update that failed, or a version that ran before. */
async function download(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, signal } = session
  session.memory.tree = await findTree(session)
  if (session.memory.tree !== null) return SKIPPED
  await makeDirDurable(deps.disk, deps.paths.downloads, 0o700)
  await deps.artifacts.fetch(plan.artifact, archiveFile(session), {
    signal,
    onProgress: (done) => session.progress('download', done, plan.artifact.length),
  })
  return DONE
}

function archiveFile({ deps, plan }: OpenSession): string {
  return join(deps.paths.downloads, plan.artifact.sha256)
}

async function findTree({ deps, plan, signal }: OpenSession): Promise<string | null> {
  const name = storeName(plan.to, plan.artifact.tree_sha256)
  const folder = join(deps.paths.store, name)
  try {
    return (await hashTree(deps.disk, folder, signal)) === plan.artifact.tree_sha256 ? name : null
  } catch {
    return null // not there, or not whole: then it is fetched
  }
}

/** The source hashed while it received; unpacking hashes once more what it reads, so here only length is left to ask for. */
async function verify(session: OpenSession): Promise<StepEnd> {
  if (session.memory.tree !== null) return SKIPPED
  const { size } = await session.deps.disk.stat(archiveFile(session))
  const { length } = session.plan.artifact
  if (size !== length)
    throw new StepFailure(failure('unverified', 'verify', `the archive has ${size} bytes, ${length} are signed`))
  return DONE
}

async function unpackTree(session: OpenSession): Promise<StepEnd> {
  if (session.memory.tree !== null) return SKIPPED
  const { deps, plan, signal } = session
  const { staging } = updateFiles(deps.paths, plan.update_id)
  const { artifact } = plan
  await removeDurable(deps.disk, deps.paths.staging)
  await makeDirDurable(deps.disk, staging, 0o700)
  await deps.disk.makeDir(join(staging, 'tree'), 0o755)
  const hash = createHash('sha256')
  const unpacked = await unpack({
    disk: deps.disk,
    archive: hashed(deps.disk.readChunks(archiveFile(session)), (chunk) => hash.update(chunk)),
    into: join(staging, 'tree'),
    maxEntries: artifact.entries,
    maxBytes: artifact.unpacked_bytes,
    signal,
    onProgress: (bytes) => session.progress('unpack', bytes, artifact.unpacked_bytes),
  })
  const unverified = (message: string) => new StepFailure(failure('unverified', 'unpack', message))
  if (hash.digest('hex') !== artifact.sha256) throw unverified('the archive was changed after it was verified')
  if (unpacked.entries !== artifact.entries || unpacked.bytes !== artifact.unpacked_bytes) {
    throw unverified(
      `the archive holds ${unpacked.entries} entries of ${unpacked.bytes} bytes, signed are ${artifact.entries} of ${artifact.unpacked_bytes}`,
    )
  }
  if (unpacked.treeSha256 !== artifact.tree_sha256)
    throw unverified(`the tree has digest ${unpacked.treeSha256}, signed is ${artifact.tree_sha256}`)
  return DONE
}

async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  note: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    note(chunk)
    yield chunk
  }
}

/** Tree and generation are made durable together, then each appears under its name with one rename. */
async function stage(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const { disk, paths } = deps
  const { staging } = updateFiles(paths, plan.update_id)
  const tree = session.memory.tree ?? (await freeTreeName(session))
  for (const folder of [paths.store, paths.generations, paths.logs]) await makeDirDurable(disk, folder, 0o755)
  await makeDirDurable(disk, paths.data, 0o700)
  if (session.memory.tree !== null) {
    await removeDurable(disk, paths.staging)
    await makeDirDurable(disk, staging, 0o700)
  }
  await writeGeneration(session, join(staging, 'generation'), tree)
  await disk.syncTree(staging)
  if (session.memory.tree === null) await renameDurable(disk, join(staging, 'tree'), join(paths.store, tree))
  await renameDurable(disk, join(staging, 'generation'), generationDir(paths, plan.generation.number))
  await disk.removeTree(paths.staging)
  return { facts: { tree } }
}

/** A broken tree of the same name may be the one that runs: it stays, and the new one gets another name. */
async function freeTreeName({ deps, plan }: OpenSession): Promise<string> {
  const name = storeName(plan.to, plan.artifact.tree_sha256)
  for (let count = 0; ; count++) {
    const candidate = count === 0 ? name : `${name}.${count}`
    try {
      await deps.disk.lstat(join(deps.paths.store, candidate))
    } catch (error) {
      if (isMissing(error)) return candidate
      throw error
    }
  }
}

async function writeGeneration({ deps, plan, verified }: OpenSession, folder: string, tree: string): Promise<void> {
  const { disk, clock } = deps
  if (verified === null)
    throw new StepFailure(failure('foreign', 'stage', 'nothing is staged without a verified manifest'))
  const env = Object.entries(plan.manifest.service?.env ?? {}).map(([name, value]) => `${name}=${value}\n`)
  await disk.makeDir(folder, 0o755)
  await disk.makeDir(join(folder, 'config'), 0o755)
  await disk.symlink(join('..', '..', 'store', tree), join(folder, 'app'))
  for (const [name, bytes] of [
    ['env', Buffer.from(env.join(''))],
    ['manifest.json', verified.bytes],
    ['generation.json', jsonBytes(buildGeneration(plan, tree, timeText(clock.now())))],
  ] as const) {
    const writer = await disk.createFile(join(folder, name), 0o644)
    try {
      await writer.write(bytes)
    } finally {
      await writer.close()
    }
  }
}

/** A new tree was hashed when it was written. One that lay here for months is read again before anything depends on it. */
async function check(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, signal } = session
  if (plan.from) await prepareSwitch(deps, plan.from.number)
  const generation = await loadGeneration(deps, plan.generation.number)
  const folder = join(deps.paths.store, generation.tree)
  if (plan.generation.kind === 'new') {
    await deps.disk.lstat(join(generationDir(deps.paths, generation.number), 'app'))
    await deps.disk.lstat(folder)
    return DONE
  }
  const digest = await hashTree(deps.disk, folder, signal)
  if (digest !== plan.artifact.tree_sha256) {
    throw new StepFailure(
      failure('missing_generation', 'check', `${folder} has digest ${digest}, signed is ${plan.artifact.tree_sha256}`),
    )
  }
  return DONE
}

// ---- the switch ------------------------------------------------------------------------------------------------------------------

async function baseline(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, options } = session
  const old = plan.from
  if (!old?.service) return { facts: { service: 'none', failing: [] }, skipped: true }
  const status = await deps.service.status()
  if (status.state === 'stopped') return { facts: { service: 'stopped', failing: [] } }
  const checks = await checksOf(session, old)
  const required = (names: readonly string[]) =>
    names.filter((name) => checks.checks.some((one) => one.name === name && one.severity === 'required'))
  const crashed = status.state === 'crashed'
  const failing = crashed
    ? checks.checks.map(({ name }) => name)
    : await takeBaseline(deps, { ...checks, isStopped: () => session.stop() !== null, signal: session.signal })
  const bad = required(failing)
  if ((crashed || bad.length > 0) && !options.acceptUnhealthy && plan.kind !== 'rollback') {
    const words = crashed
      ? `the service does not run: ${status.ended}`
      : `checks fail before the update: ${bad.join(', ')}`
    throw new StepFailure({
      ...failure('unhealthy', 'baseline', `${old.version} is not healthy: ${words}`),
      details: crashed ? [...status.tail] : [],
    })
  }
  return { facts: { service: crashed ? 'crashed' : 'running', failing: [...failing] } }
}

async function stop(session: OpenSession): Promise<StepEnd> {
  session.memory.stoppedAtMs = session.deps.clock.monotonicMs()
  if (!session.plan.from?.service) return SKIPPED
  await session.deps.service.stop()
  return DONE
}

async function start(
  session: OpenSession,
  generation: Runnable & { readonly restart_units: readonly string[] },
): Promise<StepEnd> {
  const { deps, plan } = session
  const definition = resolveService(generation, await loadSite(deps))
  if (definition) await deps.service.start(definition, plan.update_id)
  if (generation.restart_units.length > 0) await deps.service.restartUnits(generation.restart_units)
  return definition || generation.restart_units.length > 0 ? DONE : SKIPPED
}

async function ready(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, memory } = session
  const { service } = plan.manifest
  if (!service)
    return {
      facts: { failing: [], unreachable_ms: memory.stoppedAtMs === null ? null : elapsed(session) },
      skipped: true,
    }
  const end = await proveReady(deps, await watchRequest(session, newRunnable(session), false), service.ready_ms)
  const failing = orFail(session, 'ready', 'not_ready', end)
  return {
    facts: {
      failing: [...failing],
      unreachable_ms: memory.stoppedAtMs === null ? null : elapsed(session),
      warnings: warningsOf(failing),
    },
  }
}

function elapsed({ deps, memory }: OpenSession): number {
  return Math.max(0, Math.round(deps.clock.monotonicMs() - (memory.stoppedAtMs ?? 0)))
}

function warningsOf(failing: readonly string[]): string[] {
  return failing.map((name) => `check ${name} is not healthy`)
}

async function selfTest(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, signal } = session
  const tests = plan.manifest.self_tests
  if (!plan.self_tests || tests.length === 0) return SKIPPED
  const generation = newRunnable(session)
  const site = await loadSite(deps)
  const app = appDir(deps.paths, generation.number)
  const env = resolveEnv(plan.manifest.service?.env ?? {}, generation, site)
  for (const test of tests) {
    const argv = resolveArgv(test.argv, app, variablesOf(generation, site))
    const end = await deps.probes.run({ argv, env, cwd: app, timeoutMs: test.timeout_ms }, signal)
    if (end.kind === 'exited' && end.code === 0) continue
    const details = 'tail' in end ? [...end.tail] : []
    throw new StepFailure({ ...failure('self_test', 'self_test', `self-test ${test.name} ${endWords(end)}`), details })
  }
  return DONE
}

async function stability(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const { service } = plan.manifest
  if (!service) return SKIPPED
  const end = await proveStable(deps, await watchRequest(session, newRunnable(session), false), service.stability_ms)
  orFail(session, 'stability', 'unstable', end)
  return DONE
}

// ---- keeping it ------------------------------------------------------------------------------------------------------------------

/** Floor first: while there is a floor too high nothing is lost, while there is one too low an old version gets in. */
async function commit({ deps, plan }: OpenSession): Promise<StepEnd> {
  const { disk, paths, clock } = deps
  const { manifest, from } = plan
  const installedAt = timeText(clock.now())
  await raiseFloor(deps, plan.to)
  const warnings = await recordInstalled(deps, {
    version: plan.to,
    installedAt,
    releasedAt: manifest.released_at,
    migrationRequired: manifest.database_migrations.length + manifest.config_migrations.length > 0,
    databaseVersion: manifest.database_version,
    configVersion: manifest.config_version,
  })
  await removeQuarantine(disk, paths, plan.to)
  if (plan.kind === 'rollback' && from && from.version !== plan.to) {
    await addQuarantine(disk, paths, {
      version: from.version,
      update_id: plan.update_id,
      at: installedAt,
      code: 'left',
      message: `left by a rollback to ${plan.to}`,
    })
  }
  return { facts: { warnings: [...warnings] } }
}

async function collectOld({ deps, plan, options }: OpenSession): Promise<StepEnd> {
  const needed = plan.from ? [plan.from.number] : []
  await forgetPrepared(deps)
  await collect(deps, { keep: options.keep ?? DEFAULT_KEEP, needed, updateId: plan.update_id })
  return DONE
}

// ---- the way back ----------------------------------------------------------------------------------------------------------------

async function backStop({ deps, plan }: OpenSession): Promise<StepEnd> {
  const status = await deps.service.status()
  if (status.state === 'stopped') return SKIPPED
  const oldRuns = status.state === 'running' && status.generation === plan.from?.number
  if (oldRuns && (await readCurrent(deps)) === plan.from?.number) return SKIPPED // it was never stopped, or is up again
  await deps.service.stop()
  return DONE
}

async function backStart(session: OpenSession): Promise<StepEnd> {
  const old = session.plan.from
  if (!old || stepsSoFar(session).of('baseline').facts.service === 'stopped') return SKIPPED
  return start(session, old)
}

/** As well as it was before: what failed then may fail now. */
async function backProve(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const before = stepsSoFar(session).of('baseline').facts.service
  if (!plan.from?.service || before === 'stopped' || before === 'crashed') return SKIPPED
  const end = await proveReady(deps, await watchRequest(session, plan.from, true), plan.from.service.ready_ms)
  orFail(session, 'back_prove', 'not_ready', end)
  return DONE
}

/** What failed for its own sake and not for want of a cable: it would fail again. */
const QUARANTINED: readonly EngineCode[] = [
  'archive',
  'crashed',
  'not_ready',
  'unstable',
  'self_test',
  'service',
  'exhausted',
]

async function backRecord(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const { disk, paths, clock } = deps
  const progress = stepsSoFar(session)
  const current = await readCurrent(deps)
  const { goBack } = progress
  if (goBack && isFaultOfVersion(goBack, progress)) {
    const entry = {
      version: plan.to,
      update_id: plan.update_id,
      at: timeText(clock.now()),
      code: goBack.code,
      message: goBack.message,
    }
    await addQuarantine(disk, paths, entry)
  }
  if (progress.of('commit').attempts > 0) await recordReturn(deps, plan.to, versionAt(session, current))
  if (
    plan.generation.kind === 'new' &&
    current !== plan.generation.number &&
    (await listGenerations(deps)).includes(plan.generation.number)
  ) {
    await removeGeneration(deps, plan.generation.number)
  }
  await forgetPrepared(deps)
  await emptyStaging(deps)
  return DONE
}

function isFaultOfVersion(reason: Reason, progress: Progress): boolean {
  if (reason.code === 'unverified') return reason.step === 'unpack' // the archive is the signed one, and its tree is not
  if (reason.code === 'interrupted') return progress.of('switch').attempts > 0 && progress.recoveries > 1
  return QUARANTINED.includes(reason.code)
}

function versionAt({ plan }: OpenSession, current: number | null | 'unreadable') {
  return current === plan.generation.number ? plan.to : (plan.from?.version ?? null)
}

// ---- shared ----------------------------------------------------------------------------------------------------------------------

function stepsSoFar({ journal }: OpenSession): Progress {
  return foldEntries(journal.records.map(({ entry }) => entry))
}

function newRunnable({ plan }: OpenSession): Runnable & Pick<Generation, 'restart_units'> {
  const { service, restart_units } = plan.manifest
  return { number: plan.generation.number, version: plan.to, service, restart_units }
}

async function checksOf(
  { deps }: OpenSession,
  generation: Runnable,
): Promise<Pick<WatchRequest, 'checks' | 'context'>> {
  const site = await loadSite(deps)
  const app = appDir(deps.paths, generation.number)
  return {
    checks: resolveChecks(generation.service?.health_checks ?? [], app, variablesOf(generation, site)),
    context: { env: resolveEnv(generation.service?.env ?? {}, generation, site), cwd: app, unitRestarts: new Map() },
  }
}

async function watchRequest(session: OpenSession, generation: Runnable, back: boolean): Promise<WatchRequest> {
  const failing = stepsSoFar(session).of('baseline').facts.failing ?? []
  // A rollback wants the old version healthy; how the one that is being left does is no excuse.
  const excused = new Set(back || session.plan.kind !== 'rollback' ? failing : [])
  return {
    ...(await checksOf(session, generation)),
    generation: generation.service ? generation.number : null,
    excused,
    isStopped: () => !back && session.stop() !== null,
    signal: back ? undefined : session.signal,
  }
}

/** The names of checks that fail and may; throws where the watch did not end well. */
function orFail(session: OpenSession, step: StepName, code: EngineCode, end: WatchEnd): readonly string[] {
  switch (end.kind) {
    case 'well':
      return end.failing
    case 'crashed':
      throw new StepFailure({ code: 'crashed', step, message: end.words, details: [...end.tail] })
    case 'unwell':
      throw new StepFailure({ code, step, message: end.words, details: [...end.details] })
    case 'stopped':
      throw new StepFailure(session.stop() ?? failure('cancelled', step, 'stopped'))
    default:
      return unreachable(end)
  }
}
