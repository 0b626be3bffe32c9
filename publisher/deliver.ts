// From signed documents to what the public sees: check once more -> upload -> publish -> read it back as a stranger would, and compare.
//
// Every step may be repeated. Artifacts are content-addressed, documents that are there already are "unchanged", and the way to know that something
// is published is to find it there.
import { join } from 'node:path'
import { parseDocument } from '../keys/document.ts'
import type { Verified } from '../keys/verified.ts'
import { Failure } from '../schema/cli/failure.ts'
import { formatBytes } from '../schema/cli/format.ts'
import type { Artifact, Manifest } from '../schema/manifest.ts'
import { parseManifestPath } from '../schema/release-path.ts'
import type { PublishAnswer } from '../schema/rest.ts'
import { type Channel, channels } from '../schema/version.ts'
import { verifyArtifact } from './artifact-check.ts'
import { lineNames } from './edit.ts'
import { equalBytes } from './equal-bytes.ts'
import { failureFactsOf } from './failure-facts.ts'
import { PublishError } from './publish-error.ts'
import type { Repository } from './repository.ts'
import { withRetry } from './retry.ts'
import { type Change, verifyChange } from './signing.ts'
import { uploadFile } from './upload.ts'
import type { Workshop } from './workshop.ts'

export interface Delivery {
  /** What is delivered, in words: `0a2`. */
  readonly subject: string
  readonly change: Change
  readonly artifacts: readonly { readonly sha256: string; readonly length: number }[]
}

export interface Delivered {
  readonly answer: PublishAnswer
  /** Where it was read back from. */
  readonly publicUrl: string
  readonly repository: Repository
}

/**
 * Publishes a signed change. `base` is the repository over which it was signed. Throws PublishError: `unsigned`, `conflict` if somebody else published in
 * the meantime, `server`, `mismatch` if the public does not see what was signed.
 */
export async function deliver(workshop: Workshop, base: Repository, delivery: Delivery): Promise<Delivered> {
  const { output, config } = workshop
  const { change, subject } = delivery
  const manifests = verifyChange(
    { targets: base.targets, holders: config.holders, subject, now: workshop.machine.clock.now() },
    change,
  )
  await requireNext(base, delivery)
  const client = await workshop.client()
  const state = await withRetry(retryDeps(workshop), () => client.state())
  for (const artifact of delivery.artifacts) await uploadArtifact(workshop, artifact)
  output.phase('publish', `publish ${subject} at ${config.server}`)
  const answer = await withRetry(retryDeps(workshop), () => client.publish(requestOf(change))).catch((error: unknown) =>
    explainRefusal(workshop, delivery, error),
  )
  const publicUrl = state.public_url ?? config.server
  output.phase('verify', `verify what the public sees at ${publicUrl}`)
  try {
    const repository = await readBack(workshop, publicUrl, answer, delivery)
    for (const artifact of artifactsOf(manifests)) await readBackArtifact(workshop, publicUrl, artifact)
    return { answer, publicUrl, repository }
  } catch (error) {
    throw withState(
      error,
      `The server accepted ${subject}; what it shows at ${publicUrl} could not be verified.`,
      subject,
    )
  }
}

function artifactsOf(manifests: readonly Verified<Manifest>[]): readonly Artifact[] {
  const all = manifests.flatMap(({ value }) => value.artifacts)
  return [...new Map(all.map((artifact) => [artifact.sha256, artifact])).values()]
}

/** The same error with the truth about how things stand: from here on "nothing was published" would be a lie. */
function withState(error: unknown, state: string, subject: string): Failure {
  const facts = failureFactsOf(error, state)
  const next = [`netlink-publish verify ${subject}`, `netlink-publish publish ${subject}`]
  return new Failure({ ...facts, state, next }, { cause: error })
}

function retryDeps({ machine, output }: Workshop) {
  const onRetry = (error: Error, pauseMs: number) =>
    output.warn(`${error.message}; trying again in ${pauseMs / 1000} s`)
  return { clock: machine.clock, signal: machine.signal, onRetry }
}

/** Refuses what was signed over something older than what is published now. Throws PublishError `conflict`. */
export async function requireNext(
  base: Repository,
  { change, subject }: Pick<Delivery, 'change' | 'subject'>,
): Promise<void> {
  for (const channel of channels) {
    const bytes = change.documents.get(channel)
    if (bytes === undefined) continue
    const published = await base.loadChannel(channel)
    const now = published?.value.version ?? 0
    const ours = Number(parseDocument(bytes).signed.version)
    if (ours === now + 1) continue
    if (ours === now && published !== undefined && equalBytes(published.bytes, bytes)) continue
    throw conflict(subject, channel, now, ours)
  }
}

function conflict(subject: string, channel: string, now: number, ours: number): PublishError {
  const message = `somebody else published in ${channel} in the meantime: it is at v${now}, and ${subject} was signed as v${ours}`
  return new PublishError('conflict', message, {
    state: `Nothing of ${subject} was published, and nothing of theirs was lost.`,
    next: ['netlink-publish list', `run the same command for ${subject} again: it starts from what is published now`],
  })
}

/** Sends what the server does not have of an artifact of this folder. Throws as uploadFile. */
export async function uploadArtifact(
  workshop: Workshop,
  artifact: { readonly sha256: string; readonly length: number },
): Promise<void> {
  const { output, machine, layout } = workshop
  const short = artifact.sha256.slice(0, 12)
  output.phase('upload', `upload ${short} (${formatBytes(artifact.length)})`)
  const client = await workshop.client()
  await uploadFile(
    {
      ...retryDeps(workshop),
      disk: machine.disk,
      client,
      onProgress: (done, total) => output.progress('upload', done, total),
    },
    { ...artifact, path: join(layout.artifacts, artifact.sha256) },
  )
}

/**
 * Sends the artifacts of a published release that the server no longer has whole. Resolves with how many they were. Throws PublishError `mismatch` if this
 * folder has not got them either, and as uploadFile.
 */
export async function sendAgain(workshop: Workshop, { value: manifest }: Verified<Manifest>): Promise<number> {
  const client = await workshop.client()
  let sent = 0
  for (const artifact of manifest.artifacts) {
    if ((await withRetry(retryDeps(workshop), () => client.uploadState(artifact.sha256))).complete) continue
    await uploadArtifact(workshop, artifact)
    sent += 1
  }
  return sent
}

function requestOf({ documents, manifests }: Change) {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')
  const texts = (files: ReadonlyMap<string, Uint8Array>) =>
    Object.fromEntries([...files].map(([name, bytes]) => [name, text(bytes)]))
  return { metadata: texts(documents), manifests: texts(manifests), dry_run: false }
}

/** A refusal often means that another publisher was faster: then say that, and not what the server's rule is called. */
async function explainRefusal(workshop: Workshop, delivery: Delivery, error: unknown): Promise<never> {
  const isRefusal = error instanceof PublishError && (error.facts.status ?? 0) < 500
  if (!isRefusal) {
    const state = `It is not known whether the server took ${delivery.subject}; what was signed is kept.`
    throw withState(error, state, delivery.subject)
  }
  // Between a server's accepting and its sealing the other one's documents count already and can't be seen yet.
  for (const waitMs of SEALING_MS) {
    await workshop.machine.clock.sleep(waitMs, workshop.machine.signal)
    await requireNext(await workshop.refresh(), delivery)
  }
  throw error
}

/** How long to look for another publisher's documents after a refusal, and how often. */
const SEALING_MS = [0, 500, 1_500, 3_000]

const WAITS_MS = [0, 250, 500, 1_000, 2_000, 4_000, 8_000]

/** Refreshes from the public address, waiting for caches on the way, until it shows the very documents that were signed, or later ones. */
async function readBack(
  workshop: Workshop,
  publicUrl: string,
  answer: PublishAnswer,
  delivery: Delivery,
): Promise<Repository> {
  const { clock, signal } = workshop.machine
  let seen = 0
  for (const waitMs of WAITS_MS) {
    await clock.sleep(waitMs, signal)
    const repository = await workshop.refresh(workshop.published(publicUrl))
    seen = repository.trusted.timestampVersion
    if (seen < answer.timestamp_version) continue
    await compareWithPublic(repository, delivery)
    return repository
  }
  throw new PublishError(
    'mismatch',
    `${publicUrl} still shows timestamp v${seen}, v${answer.timestamp_version} was published`,
    {
      state: `${delivery.subject} was published on the server; the public address does not show it yet.`,
      next: [`netlink-publish verify ${delivery.subject}`],
    },
  )
}

async function compareWithPublic(repository: Repository, { change, subject }: Delivery): Promise<void> {
  for (const [role, bytes] of change.documents) {
    const published = repository.snapshot.value.meta.get(`${role}.json`)?.version ?? 0
    const ours = Number(parseDocument(bytes).signed.version)
    if (published < ours) throw mismatch(subject, `${role} is at v${published}, v${ours} was signed`)
  }
  // Loaded as hosts load them, which also keeps them in the trusted copy.
  for (const channel of channels)
    if (change.documents.has(channel)) await compareChannel(repository, channel, change, subject)
  for (const [path, bytes] of change.manifests) {
    const target = await repository.trusted.findTarget(path)
    const said = target.hashes.get('sha256')
    if (target.length !== bytes.length) throw mismatch(subject, `${path} has another length (sha256 ${said})`)
    const manifest = await repository.loadManifest(parseManifestPath(path))
    if (!equalBytes(manifest.bytes, bytes)) throw mismatch(subject, `${path} is not the manifest that was signed`)
  }
}

/** Where somebody was faster by now, later documents stand in the place of ours. */
async function compareChannel(
  repository: Repository,
  channel: Channel,
  { documents }: Change,
  subject: string,
): Promise<void> {
  await repository.openDraft(channel)
  const role = await repository.loadChannel(channel)
  const ours = documents.get(channel)
  if (role === undefined || ours === undefined) return
  if (role.value.version !== Number(parseDocument(ours).signed.version)) return
  for (const name of [channel, ...lineNames(role.value)]) {
    const signed = documents.get(name)
    const shown = name === channel ? role.bytes : await repository.loadLine(name, role.value)
    if (signed !== undefined && !equalBytes(shown, signed)) throw mismatch(subject, `${name} is not what was signed`)
  }
}

function mismatch(subject: string, what: string): PublishError {
  return new PublishError('mismatch', `the public does not see ${subject} as it was signed: ${what}`, {
    state: 'The server accepted the release; what it shows is something else.',
    next: [`netlink-publish verify ${subject}`],
  })
}

async function readBackArtifact(workshop: Workshop, publicUrl: string, artifact: Artifact): Promise<void> {
  const { output, machine } = workshop
  let done = 0
  const chunks = workshop.published(publicUrl).openArtifact(artifact.sha256, artifact.length, machine.signal)
  await verifyArtifact(counted(chunks), artifact)

  async function* counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      done += chunk.length
      output.progress('verify', done, artifact.length)
      yield chunk
    }
  }
}
