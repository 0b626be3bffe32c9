// Steps that bring a release onto the host while the running version notices nothing: download, verify, unpack, stage.
import { join } from 'node:path'
import { makeDirDurable, renameDurable } from '../../keys/platform/durable.ts'
import { generationDir, storeName, updateFiles } from '../paths.ts'
import { timeText } from './journal.ts'
import { buildGeneration, isMissing, jsonBytes } from './layout.ts'
import { failure } from './machine.ts'
import { StepFailure } from './reason.ts'
import type { OpenSession } from './session.ts'
import { appTarget } from './staged-tree.ts'
import { DONE, SKIPPED, type StepEnd } from './step-end.ts'
import { hashTree, unpack } from './unpack.ts'

/** Nothing is fetched where the store holds the very tree already: an update that failed, or a version that ran before. */
export async function download(session: OpenSession): Promise<StepEnd> {
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

/** The source hashed while it received, and whatever becomes of the file after that shows in the digest of the tree: here only length is left to ask for. */
export async function verify(session: OpenSession): Promise<StepEnd> {
  if (session.memory.tree !== null) return SKIPPED
  const { size } = await session.deps.disk.stat(archiveFile(session))
  const { length } = session.plan.artifact
  if (size !== length)
    throw new StepFailure(failure('unverified', 'verify', `the archive has ${size} bytes, ${length} are signed`))
  return DONE
}

export async function unpackTree(session: OpenSession): Promise<StepEnd> {
  if (session.memory.tree !== null) return SKIPPED
  const { deps, plan, signal } = session
  const { staging } = updateFiles(deps.paths, plan.update_id)
  const { artifact } = plan
  await beginStaging(session)
  await deps.disk.makeDir(join(staging, 'tree'), 0o755)
  const unpacked = await unpack({
    disk: deps.disk,
    archive: deps.disk.readChunks(archiveFile(session)),
    into: join(staging, 'tree'),
    maxEntries: artifact.entries,
    maxBytes: artifact.unpacked_bytes,
    signal,
    onProgress: (bytes) => session.progress('unpack', bytes, artifact.unpacked_bytes),
  })
  const unverified = (message: string) => new StepFailure(failure('unverified', 'unpack', message))
  if (unpacked.entries !== artifact.entries || unpacked.bytes !== artifact.unpacked_bytes) {
    throw unverified(
      `the archive holds ${unpacked.entries} entries of ${unpacked.bytes} bytes, signed are ${artifact.entries} of ${artifact.unpacked_bytes}`,
    )
  }
  if (unpacked.treeSha256 !== artifact.tree_sha256)
    throw unverified(`the tree has digest ${unpacked.treeSha256}, signed is ${artifact.tree_sha256}`)
  return DONE
}

/** An empty folder that only we can enter. Nothing in it has to survive anything before it gets a name elsewhere. */
async function beginStaging({ deps, plan }: OpenSession): Promise<void> {
  const { disk, paths } = deps
  await disk.removeTree(paths.staging)
  await disk.makeDir(paths.staging, 0o700)
  await disk.makeDir(updateFiles(paths, plan.update_id).staging, 0o700)
}

/** Tree and generation are made durable together, then each appears under its name with one rename. */
export async function stage(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const { disk, paths } = deps
  const { staging } = updateFiles(paths, plan.update_id)
  const tree = session.memory.tree ?? (await freeTreeName(session))
  for (const folder of [paths.store, paths.generations, paths.logs]) await makeDirDurable(disk, folder, 0o755)
  await makeDirDurable(disk, paths.data, 0o700)
  if (session.memory.tree !== null) {
    await beginStaging(session)
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
  await disk.symlink(appTarget(tree), join(folder, 'app'))
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
