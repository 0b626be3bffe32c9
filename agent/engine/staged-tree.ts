// Whether what is about to become `current` is what was signed. It is asked three times: before anything happens to the service (the whole tree is read),
// when the running version has shown how well it is, and right before the flip, when nobody is served. The old version runs nearly all that time, under `exec`
// control as this very user, and could write what then runs in its place.
import { join } from 'node:path'
import { generationDir } from '../paths.ts'
import { createHashMemory } from './hash-memory.ts'
import { loadGeneration, prepareSwitch } from './layout.ts'
import { failure } from './machine.ts'
import type { StepName } from './plan.ts'
import { StepFailure } from './reason.ts'
import type { OpenSession } from './session.ts'
import { DONE, type StepEnd } from './step-end.ts'
import { hashTree } from './unpack.ts'

/** The first look, at every byte: a new tree was hashed while it was written, an old one lay here for months. Lays out the way back on the way. */
export async function check(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, memory } = session
  if (plan.from) {
    memory.hashed = createHashMemory(await prepareSwitch(deps, plan.from.number))
    await deps.disk.syncTree(await findTree(session, 'check'))
  }
  await requireSigned(session, 'check')
  return DONE
}

/** Throws StepFailure unless the tree is the signed one. What can't have changed since `check` is not read again; after a crash everything is. */
export async function requireSigned(session: OpenSession, step: StepName): Promise<void> {
  const { deps, plan, signal, memory } = session
  const folder = await findTree(session, step)
  const digest = await hashTree(deps.disk, folder, signal, memory.hashed ?? undefined)
  if (digest === plan.artifact.tree_sha256) return
  throw notSigned(session, step, `${folder} has digest ${digest}, signed is ${plan.artifact.tree_sha256}`)
}

/** The tree that the generation runs, by the link that runs it. */
async function findTree(session: OpenSession, step: StepName): Promise<string> {
  const { deps, plan } = session
  const { number, tree } = await loadGeneration(deps, plan.generation.number)
  const link = join(generationDir(deps.paths, number), 'app')
  const [target, expected] = [await deps.disk.readLink(link), appTarget(tree)]
  if (target === expected) return join(deps.paths.store, tree)
  throw notSigned(session, step, `${link} leads to ${target}, expected ${expected}`)
}

/** What `app` in a generation points to for this folder of the store. */
export function appTarget(tree: string): string {
  return join('..', '..', 'store', tree)
}

/** A kept generation that is no longer whole is none to go back to; what became of a tree that was whole a moment ago is somebody's doing. */
function notSigned({ plan }: OpenSession, step: StepName, message: string): StepFailure {
  const code = step === 'check' && plan.generation.kind === 'return' ? 'missing_generation' : 'unverified'
  return new StepFailure(failure(code, step, message))
}
