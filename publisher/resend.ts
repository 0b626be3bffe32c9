// What a server that was put back from a backup lacks, out of this folder's trusted copy: nothing is signed and nothing is made. Roots in a row, the roles that
// are newer here, the manifests that those list, the archives. All of it or nothing, and the server verifies it like any publication.
//
//   look at the server from pub/root.json on ──┐
//   the trusted copy, verified again ──────────┴─ difference ── artifacts ── one request ── look again
import { join } from 'node:path'
import { TrustError } from '../keys/trust-error.ts'
import { type Verified, type VerifiedRole, verifyNextRoot } from '../keys/verified.ts'
import type { Manifest } from '../schema/manifest.ts'
import type { ChannelRole, Root } from '../schema/metadata.ts'
import { manifestPath } from '../schema/release-path.ts'
import type { PublishRoot } from '../schema/rest.ts'
import { type Channel, channels, type Version } from '../schema/version.ts'
import { uploadArtifact } from './deliver.ts'
import { lineNames, versionsIn } from './edit.ts'
import { equalBytes } from './equal-bytes.ts'
import { withFreshLook } from './fresh-look.ts'
import { PublishError } from './publish-error.ts'
import type { Repository } from './repository.ts'
import { withRetry } from './retry.ts'
import { loadKeptRoot } from './root/kept.ts'
import type { Workshop } from './workshop.ts'

/** What the server lacks. */
export interface Lack {
  /** In a row, oldest first. */
  readonly roots: readonly Uint8Array[]
  /** targets, channels and lines by name. */
  readonly roles: ReadonlyMap<string, Uint8Array>
  readonly manifests: readonly Verified<Manifest>[]
  /** Channels of which the trusted copy knows that there is something newer, and has not got it. */
  readonly notKept: readonly Channel[]
}

/**
 * `overOthers`: also where the server has something that this folder has not. Throws TrustError for a server that shows another repository, PublishError `conflict`,
 * `mismatch` for what this folder has not kept either, PlatformError.
 */
export async function findLack(workshop: Workshop, overOthers: boolean): Promise<Lack> {
  const ours = await workshop.offline()
  const { root_version } = await (await workshop.client()).state()
  const roots = await missingRoots(workshop, ours, root_version)
  if (root_version === 0) return { roots, ...(await difference(ours, undefined)) }
  const root = await workshop.machine.disk.readFile(workshop.layout.root)
  return withFreshLook(workshop, workshop.published(), { root, expiry: 'report' }, async (theirs) => {
    requireSame(ours, theirs)
    if (!overOthers) await requireOneHistory(ours, theirs)
    // A kept root is believed no more than one from a server.
    roots.reduce<VerifiedRole<Root>>((before, bytes) => verifyNextRoot(before, bytes), theirs.trusted.root)
    return { roots, ...(await difference(ours, theirs)) }
  })
}

async function missingRoots({ machine, layout }: Workshop, ours: Repository, served: number): Promise<Uint8Array[]> {
  const roots: Uint8Array[] = []
  const newest = ours.trusted.root.value.version
  for (let version = served + 1; version <= newest; version++) {
    const kept =
      version === newest ? ours.trusted.root.bytes : await loadKeptRoot(machine.disk, layout.repository, version)
    if (kept === undefined) {
      const file = join(layout.repository, 'roots', `${version}.root.json`)
      throw new PublishError('mismatch', `the server needs root v${version} first, and this folder has not kept it`, {
        state: 'Nothing was sent.',
        next: [`bring root v${version} from another holder's folder: ${file}`, 'netlink-publish resend'],
      })
    }
    roots.push(kept)
  }
  return roots
}

/** Two roots of one number: another repository, or a root that somebody signed after the server was lost. */
function requireSame(ours: Repository, theirs: Repository): void {
  const [a, b] = [ours.trusted.root, theirs.trusted.root]
  if (a.value.version !== b.value.version || equalBytes(a.bytes, b.bytes)) return
  throw new PublishError('conflict', `root v${a.value.version} of the server is not the one that is trusted here`, {
    state: 'Nothing was sent.',
    next: ['netlink-publish root show'],
  })
}

async function difference(ours: Repository, theirs: Repository | undefined): Promise<Omit<Lack, 'roots'>> {
  const roles = new Map<string, Uint8Array>()
  const manifests: Verified<Manifest>[] = []
  const notKept: Channel[] = []
  if (ours.targets.value.version > roleVersion(theirs, 'targets')) roles.set('targets', ours.targets.bytes)
  for (const channel of channels) {
    if (roleVersion(ours, channel) <= roleVersion(theirs, channel)) continue
    const role = await loadKept(ours, channel)
    if (role === undefined) {
      notKept.push(channel)
      continue
    }
    roles.set(channel, role.bytes)
    for (const line of lineNames(role.value)) roles.set(line, await ours.loadLine(line, role.value))
    for (const version of await unknownVersions(ours, theirs, channel))
      manifests.push(await keptManifest(ours, version))
  }
  return { roles, manifests, notKept }
}

/**
 * Somebody may have published over the older state meanwhile: what they did is not undone without a word. A release or a withdrawal that is there and not here
 * may also be one that was taken back since the backup; nobody can tell from the documents. Throws PublishError `conflict`.
 */
async function requireOneHistory(ours: Repository, theirs: Repository): Promise<void> {
  const [targets, shownTargets] = [ours.targets, theirs.targets]
  if (targets.value.version === shownTargets.value.version && !equalBytes(targets.bytes, shownTargets.bytes))
    throw forked('targets', `another v${targets.value.version}`)
  for (const channel of channels) {
    const [mine, shown] = [await loadKept(ours, channel), await theirs.loadChannel(channel)]
    if (mine === undefined || shown === undefined || mine.value.version < shown.value.version) continue
    if (mine.value.version === shown.value.version) {
      if (equalBytes(mine.bytes, shown.bytes)) continue
      throw forked(channel, `another v${mine.value.version}`)
    }
    const withdrawn = mine.value.channel.withdrawn.map((one): string => one.version)
    const known = [...versionsIn(await ours.openDraft(channel)), ...withdrawn]
    const released = versionsIn(await theirs.openDraft(channel)).find((version) => !known.includes(version))
    if (released !== undefined) throw forked(channel, released)
    const taken = shown.value.channel.withdrawn.find(({ version }) => !withdrawn.includes(version))
    if (taken !== undefined) throw forked(channel, `a withdrawal of ${taken.version}`)
  }
}

function forked(role: string, what: string): PublishError {
  return new PublishError(
    'conflict',
    `the server has ${what} in ${role}, and this folder has not: somebody published there since`,
    {
      state: 'Nothing was sent, so that nothing of theirs is lost.',
      next: [
        'publish again what the server lacks: netlink-publish list --offline',
        'netlink-publish resend --over-others   if what is there was taken back before the server was lost',
      ],
    },
  )
}

async function loadKept(ours: Repository, channel: Channel): Promise<Verified<ChannelRole> | undefined> {
  try {
    return await ours.loadChannel(channel)
  } catch (error) {
    if (error instanceof TrustError && error.code === 'missing') return undefined
    throw error
  }
}

function roleVersion(repository: Repository | undefined, role: string): number {
  return repository?.snapshot.value.meta.get(`${role}.json`)?.version ?? 0
}

async function unknownVersions(
  ours: Repository,
  theirs: Repository | undefined,
  channel: Channel,
): Promise<readonly Version[]> {
  const known = theirs === undefined ? [] : versionsIn(await theirs.openDraft(channel))
  return versionsIn(await ours.openDraft(channel)).filter((version) => !known.includes(version))
}

async function keptManifest(ours: Repository, version: Version): Promise<Verified<Manifest>> {
  try {
    return await ours.loadManifest(version)
  } catch (cause) {
    const facts = {
      state: 'Nothing was sent.',
      next: [`netlink-publish resend, in the folder that published ${version}`],
    }
    throw new PublishError('mismatch', `the manifest of ${version} is not in this folder`, facts, { cause })
  }
}

/** Sends it, archives first, and looks again as a stranger would. Throws PublishError `server`, `mismatch`; PlatformError `not-found` for an archive that is not here. */
export async function resend(workshop: Workshop, lack: Lack, reason: string | undefined): Promise<void> {
  const { machine, output, config } = workshop
  const client = await workshop.client()
  const deps = { clock: machine.clock, signal: machine.signal, onRetry: (error: Error) => output.warn(error.message) }
  for (const artifact of lack.manifests.flatMap(({ value }) => value.artifacts)) {
    if (!(await withRetry(deps, () => client.uploadState(artifact.sha256))).complete)
      await uploadArtifact(workshop, artifact)
  }
  output.phase('publish', `hand over to ${config.server}`)
  const { roots, targets, metadata = {}, manifests = {} } = requestOf(lack)
  await withRetry(
    deps,
    async (): Promise<unknown> =>
      roots.length > 0
        ? client.putRoot({ roots, targets: targets ?? null, metadata, manifests, reason: reason ?? null })
        : client.publish({ metadata: targets ? { targets, ...metadata } : metadata, manifests, dry_run: false }),
  )
  output.phase('verify', 'verify what the public sees')
  const left = await findLack(workshop, true)
  if (!isNothing(left)) throw new PublishError('mismatch', 'the server took it and does not show it')
}

export function isNothing({ roots, roles }: Lack): boolean {
  return roots.length === 0 && roles.size === 0
}

function requestOf({ roots, roles, manifests }: Lack): PublishRoot {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')
  const { targets = null, ...metadata } = Object.fromEntries([...roles].map(([role, bytes]) => [role, text(bytes)]))
  return {
    roots: roots.map(text),
    targets,
    metadata,
    manifests: Object.fromEntries(manifests.map(({ value, bytes }) => [manifestPath(value.version), text(bytes)])),
  }
}
