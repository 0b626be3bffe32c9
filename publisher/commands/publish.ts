import type { Command } from 'commander'
import type { Verified } from '../../keys/verified.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { eventIdShape, isSubject, type Subject } from '../../schema/signing-event.ts'
import { isVersion, type Version } from '../../schema/version.ts'
import { deliver, requireNext, sendAgain } from '../deliver.ts'
import { equalBytes } from '../equal-bytes.ts'
import { askConsentToPending, type ConsentOptions } from '../event/consent.ts'
import { changeOf, signEvent } from '../event/event.ts'
import { isFileName, openEvents } from '../event/place.ts'
import { listPending, loadPending, type Pending, removePending, savePending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import { verifyOrExplain } from '../release.ts'
import type { Repository } from '../repository.ts'
import { openForRoot, signWaiting } from '../root/work.ts'
import type { Change } from '../signing.ts'
import { asksToSign, type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, withConsent, withShared, withSigners } from './context.ts'
import { notUploaded, publishEvent } from './publish-event.ts'
import { answerPublished, type ChangeOptions } from './published.ts'
import { answerRoot } from './root.ts'

interface PublishOptions extends ChangeOptions, ConsentOptions {}

/** Adds `publish VERSION`. */
export function addPublish(program: Command, context: CommandContext): void {
  withConsent(
    withSigners(withShared(program.command('publish').argument('<what>', 'a version, a signing event, or its file'))),
  )
    .description(
      'publish what enough people have signed, go on where it was interrupted, or add a signature that is missing',
    )
    .option('--dry-run', 'say how it stands, change nothing')
    .action((what: string, options: PublishOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish publish', (workshop) =>
          publish(workshop, what, options),
        ),
      ),
    )
}

/** What waits in this folder comes before an event of the same name: it is what was begun here. */
async function publish(workshop: Workshop, what: string, options: PublishOptions): Promise<void> {
  const { machine, layout } = workshop
  if (eventIdShape.safeParse(what).success || isFileName(what)) return publishEvent(workshop, what, options)
  if (!isSubject(what)) throw new PublishError('usage', `${what} is neither a version nor a signing event`)
  const waits = (await loadPending(machine.disk, layout.pending, what)) !== undefined
  if (!isVersion(what)) return waits ? publishRoot(workshop, what, options) : publishEvent(workshop, what, options)
  const isEvent = !waits && (await openEvents(workshop, false)).some(({ subject }) => subject === what)
  return isEvent ? publishEvent(workshop, what, options) : publishPending(workshop, what, options)
}

/** A change of the root, or documents signed again, that wait in this folder. */
async function publishRoot(workshop: Workshop, subject: Subject, options: PublishOptions): Promise<void> {
  const repository = await openForRoot(workshop, {})
  answerRoot(
    workshop,
    await signWaiting(workshop, options, repository, { subject, command: `netlink-publish publish ${subject}` }),
  )
}

async function publishPending(workshop: Workshop, version: Version, options: PublishOptions): Promise<void> {
  const { machine, output, layout, config } = workshop
  output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = await workshop.refresh()
  const pending = await loadPending(machine.disk, layout.pending, version)
  if (pending === undefined) return sayNothingPending(workshop, repository, version, options)
  const manifestBytes = pending.change.manifests.get(manifestPath(version))
  if (manifestBytes !== undefined && (await isPublished(repository, version, manifestBytes))) {
    await removePending(machine.disk, layout.pending, version)
    return answerAlready(workshop, version, await repository.loadManifest(version), options)
  }
  const isSigned = asksToSign(options) && !options.dryRun
  const change = isSigned ? await signPending(workshop, repository, pending, options) : pending.change
  if (isSigned) await savePending(machine.disk, layout.pending, { ...pending, change })
  verifyOrExplain(workshop, repository, version, change)
  if (options.dryRun) {
    return output.answer(
      'netlink.publish.publish/v1',
      { dry_run: true, version, unchanged: false },
      `${version} has every signature it needs\nNothing was published.`,
    )
  }
  // A promotion's are there since they were first released, and need not be here.
  const artifacts = await notUploaded(workshop, [...pending.artifacts])
  const delivered = await deliver(workshop, repository, { subject: version, change, artifacts })
  await removePending(machine.disk, layout.pending, version)
  if (manifestBytes === undefined) {
    // A withdrawal, or one taken back, that waited for a signature.
    const fields = { dry_run: false, version, unchanged: false, timestamp_version: delivered.answer.timestamp_version }
    return output.answer('netlink.publish.publish/v1', fields, `what was signed about ${version} is published`)
  }
  answerPublished(
    output,
    'netlink.publish.publish/v1',
    (await delivered.repository.loadManifest(version)).value,
    delivered,
  )
}

/** What waits with the signatures of these holders, who have seen and confirmed it: it may have been made by anybody. */
async function signPending(
  workshop: Workshop,
  repository: Repository,
  pending: Pending,
  options: PublishOptions,
): Promise<Change> {
  await requireNext(repository, pending)
  const command = `netlink-publish publish ${pending.subject}`
  const { event, holders } = await askConsentToPending(workshop, repository, pending, {
    command,
    offline: false,
    options,
  })
  return changeOf((await signEvent(repository, event, await workshop.openKeyrings(options, holders))).event)
}

async function isPublished(repository: Repository, version: Version, bytes: Uint8Array): Promise<boolean> {
  try {
    return equalBytes((await repository.loadManifest(version)).bytes, bytes)
  } catch (error) {
    if (error instanceof PublishError && error.code === 'unknown-version') return false
    throw error
  }
}

/** Published already; but its server may have lost what belongs to it. */
async function answerAlready(
  workshop: Workshop,
  version: Version,
  manifest: Verified<Manifest>,
  { dryRun }: ChangeOptions,
): Promise<void> {
  const sent = dryRun ? 0 : await sendAgain(workshop, manifest)
  workshop.output.answer(
    'netlink.publish.publish/v1',
    { dry_run: dryRun === true, version, unchanged: sent === 0, sent_again: sent },
    sent === 0
      ? `${version} is published already; nothing was left to do`
      : `${version} is published already; the server had lost ${sent === 1 ? 'an artifact, which was' : `${sent} artifacts, which were`} sent again`,
  )
}

async function sayNothingPending(
  workshop: Workshop,
  repository: Repository,
  version: Version,
  options: ChangeOptions,
): Promise<void> {
  const { machine, layout } = workshop
  const others = await listPending(machine.disk, layout.pending)
  const published = await repository.loadManifest(version).catch((error: unknown) => {
    if (!(error instanceof PublishError && error.code === 'unknown-version')) throw error
    return undefined
  })
  if (published !== undefined) return answerAlready(workshop, version, published, options)
  const waiting = others.length === 0 ? 'nothing waits here' : `waiting here: ${others.join(', ')}`
  throw new PublishError('unknown-version', `there is no signed ${version} to publish; ${waiting}`, {
    next: [`netlink-publish release ${version} --from DIR`],
  })
}
