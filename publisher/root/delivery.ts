// From a signed change of root or targets to what the public sees: check once more -> hand over, all of it or nothing -> read it back as a stranger would.
// May be repeated: what the server has already is no news to it.
import { parseDocument } from '../../keys/document.ts'
import { Failure } from '../../schema/cli/failure.ts'
import type { Subject } from '../../schema/signing-event.ts'
import { channels } from '../../schema/version.ts'
import { equalBytes } from '../equal-bytes.ts'
import { failureFactsOf } from '../failure-facts.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { withRetry } from '../retry.ts'
import type { Workshop } from '../workshop.ts'
import { verifyRootChange } from './change.ts'

/** What is delivered: `root-2`, and its signed documents by role. */
export interface RootDelivery {
  readonly subject: Subject
  readonly documents: ReadonlyMap<string, Uint8Array>
  /** Why, for the server's audit log. */
  readonly reason?: string | undefined
}

/**
 * Publishes a signed change of root, targets or channels that brings no release. `base` is the repository over which it was signed. Throws TrustError and
 * PublishError `conflict`, `server`, `mismatch`.
 */
export async function deliverRoot(workshop: Workshop, base: Repository, delivery: RootDelivery): Promise<Repository> {
  const { output, config, machine } = workshop
  const { subject, documents } = delivery
  await requireNext(base, delivery)
  await verifyRootChange(base, subject, documents, machine.clock.now())
  const client = await workshop.client()
  const deps = { clock: machine.clock, signal: machine.signal, onRetry: (error: Error) => output.warn(error.message) }
  const state = await withRetry(deps, () => client.state())
  output.phase('publish', `publish ${subject} at ${config.server}`)
  const [root, targets, metadata] = requestOf(documents)
  try {
    await withRetry(
      deps,
      async (): Promise<unknown> =>
        root === undefined
          ? client.publish({ metadata: withTargets(metadata, targets), manifests: {}, dry_run: false })
          : client.putRoot({ roots: [root], targets: targets ?? null, metadata, reason: delivery.reason ?? null }),
    )
  } catch (error) {
    const isRefusal = error instanceof PublishError && (error.facts.status ?? 0) < 500
    if (isRefusal) throw error
    throw withState(error, `It is not known whether the server took ${subject}; what was signed is kept.`, subject)
  }
  const publicUrl = state.public_url ?? config.server
  output.phase('verify', `verify what the public sees at ${publicUrl}`)
  try {
    return await readBack(workshop, publicUrl, delivery)
  } catch (error) {
    const told = `The server accepted ${subject}; what it shows at ${publicUrl} could not be verified.`
    throw withState(error, told, subject)
  }
}

function requestOf(
  documents: ReadonlyMap<string, Uint8Array>,
): readonly [root: string | undefined, targets: string | undefined, metadata: Readonly<Record<string, string>>] {
  const texts = new Map([...documents].map(([role, bytes]) => [role, Buffer.from(bytes).toString('utf8')]))
  const others = [...texts].filter(([role]) => role !== 'root' && role !== 'targets')
  return [texts.get('root'), texts.get('targets'), Object.fromEntries(others)]
}

function withTargets(
  metadata: Readonly<Record<string, string>>,
  targets: string | undefined,
): Readonly<Record<string, string>> {
  return targets === undefined ? metadata : { targets, ...metadata }
}

function withState(error: unknown, state: string, subject: Subject): Failure {
  const facts = failureFactsOf(error, state)
  return new Failure(
    { ...facts, state, next: ['netlink-publish root show', `netlink-publish publish ${subject}`] },
    { cause: error },
  )
}

/** Refuses what was signed over something older than what is published now. Throws PublishError `conflict`. */
export async function requireNext(base: Repository, { subject, documents }: RootDelivery): Promise<void> {
  for (const [role, bytes] of documents) {
    const ours = Number(parseDocument(bytes, role).signed.version)
    const published = publishedVersion(base, role)
    if (ours === published + 1) continue
    if (ours === published && (await isPublished(base, role, bytes))) continue
    throw new PublishError(
      'conflict',
      `somebody else published ${role} v${published} in the meantime, and ${subject} was signed as v${ours}`,
      {
        state: `Nothing of ${subject} was published, and nothing of theirs was lost.`,
        next: ['netlink-publish root show', `start ${subject} again from what is published now`],
      },
    )
  }
}

function publishedVersion({ trusted, snapshot }: Repository, role: string): number {
  if (role === 'root') return trusted.root.value.version
  return snapshot.value.meta.get(`${role}.json`)?.version ?? 0
}

async function isPublished({ trusted, targets }: Repository, role: string, bytes: Uint8Array): Promise<boolean> {
  if (role === 'root') return equalBytes(trusted.root.bytes, bytes)
  // Whatever else has this number is compared by the server, to which the same document is no news.
  return role === 'targets' ? equalBytes(targets.bytes, bytes) : true
}

const WAITS_MS = [0, 250, 500, 1_000, 2_000, 4_000, 8_000]

/** Refreshes from the public address, waiting for caches on the way, until it shows what was signed, or later versions. */
async function readBack(
  workshop: Workshop,
  publicUrl: string,
  { subject, documents }: RootDelivery,
): Promise<Repository> {
  const { clock, signal } = workshop.machine
  let behind = ''
  for (const waitMs of WAITS_MS) {
    await clock.sleep(waitMs, signal)
    const repository = await workshop.refresh(workshop.published(publicUrl))
    const late = [...documents].find(
      ([role, bytes]) => publishedVersion(repository, role) < Number(parseDocument(bytes, role).signed.version),
    )
    if (late === undefined) {
      // Channels and their lines as a host will load them; the trusted copy has them from then on.
      for (const channel of channels) if (documents.has(channel)) await repository.openDraft(channel)
      return repository
    }
    behind = `${late[0]} is at v${publishedVersion(repository, late[0])}`
  }
  throw new PublishError('mismatch', `${publicUrl} does not show ${subject}: ${behind}`)
}
