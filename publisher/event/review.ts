// What a holder looks at before signing: the checked event, its files, and everything that would change, in words.
import { join } from 'node:path'
import { isThere } from '../../keys/platform/if-there.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { TreeEntry } from '../../schema/archive/tree-digest.ts'
import type { Artifact } from '../../schema/manifest.ts'
import type { SigningEvent } from '../../schema/signing-event.ts'
import { verifyArtifact } from '../artifact-check.ts'
import type { Repository } from '../repository.ts'
import type { Workshop } from '../workshop.ts'
import { type CheckedEvent, checkEvent, openEvent } from './check.ts'
import { altered } from './expected.ts'
import { parseTree } from './trees.ts'
import { changeSections, countHidden, type ReleaseTree, type Section } from './words.ts'

export interface Review {
  readonly checked: CheckedEvent
  readonly sections: readonly Section[]
  /** Every list of files that is shown, each proven by its digest. */
  readonly trees: readonly ReleaseTree[]
  /** Files that changed and are only counted there. */
  readonly hiddenFiles: number
}

/**
 * Checks the event against this repository and puts what it changes into words. Archives are asked for where no list of files came along; `offline`: only
 * in this folder. Throws as checkEvent, and PublishError `altered` for files that can't be shown, of a release as of a promotion: whoever has looked at
 * them before did so with other keys and for other hosts.
 */
export async function reviewEvent(
  workshop: Workshop,
  repository: Repository,
  event: SigningEvent,
  options: { readonly offline: boolean; readonly maxFiles: number },
): Promise<Review> {
  const now = workshop.machine.clock.now()
  const checked = await checkEvent(repository, openEvent(event), now)
  const trees = await treesOf(workshop, checked, options.offline)
  const { holders } = workshop.config
  const sections = changeSections(checked, { holders, trees, now, maxFiles: options.maxFiles })
  return { checked, sections, trees, hiddenFiles: countHidden(trees, options.maxFiles) }
}

async function treesOf(workshop: Workshop, checked: CheckedEvent, offline: boolean): Promise<readonly ReleaseTree[]> {
  const { release } = checked.expected
  if (release === undefined) return []
  const trees: ReleaseTree[] = []
  for (const artifact of release.manifest.artifacts) {
    const old = release.previous?.artifacts.find(({ platform }) => platform === artifact.platform)
    const files = await findTree(workshop, checked, artifact, offline)
    const before = old && (await findTree(workshop, checked, old, offline))
    if (files === undefined) throw notShown(checked.event, artifact)
    trees.push({ platform: artifact.platform, files, before })
  }
  return trees
}

function notShown({ subject }: SigningEvent, { platform, sha256 }: Artifact) {
  const message = `the files of ${subject} for ${platform} can't be shown: neither their list nor the archive ${sha256.slice(0, 12)} is here`
  return altered(message)
}

/** From the list that came along, from the archive in this folder, or from the server: each proves by its digest that it is the one. */
async function findTree(
  workshop: Workshop,
  { event }: CheckedEvent,
  artifact: Artifact,
  offline: boolean,
): Promise<readonly TreeEntry[] | undefined> {
  const listed = event.trees[artifact.tree_sha256]
  if (listed !== undefined) return parseTree(listed, artifact.tree_sha256)
  return (await localTree(workshop, artifact)) ?? (offline ? undefined : publishedTree(workshop, artifact))
}

/** What lies in an archive of this folder; undefined if it is not here. Throws TrustError `hash` for another one under its name. */
async function localTree({ machine, layout }: Workshop, artifact: Artifact): Promise<readonly TreeEntry[] | undefined> {
  const file = join(layout.artifacts, artifact.sha256)
  if (!(await isThere(machine.disk, file))) return undefined
  return verifyArtifact(machine.disk.readChunks(file), artifact)
}

/** What lies in an archive of the server; undefined if it has none. Throws TrustError `hash`. */
async function publishedTree(workshop: Workshop, artifact: Artifact): Promise<readonly TreeEntry[] | undefined> {
  const { sha256, length } = artifact
  workshop.output.phase('files', `read ${sha256.slice(0, 12)} from ${workshop.config.server}`)
  try {
    return await verifyArtifact(workshop.published().openArtifact(sha256, length, workshop.machine.signal), artifact)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'http-status') return undefined
    throw error
  }
}
