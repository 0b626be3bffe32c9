import type { SigningEvent } from '../../schema/signing-event.ts'
import { isVersion } from '../../schema/version.ts'
import { fateIn, undertakingOf } from '../change-fate.ts'
import { type Delivered, deliver } from '../deliver.ts'
import { checkEvent, openEvent } from '../event/check.ts'
import { changeOf, eventStanding, gatherSignatures } from '../event/event.ts'
import { findEvent, openBase, requireOpen } from '../event/place.ts'
import { eventFields, isComplete, missingNames, standingLines } from '../event/standing.ts'
import { saveEvent } from '../event/store.ts'
import { removePending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { publishWaiting } from '../root/work.ts'
import type { Workshop } from '../workshop.ts'
import { answerPublished, type ChangeOptions } from './published.ts'

/** Publishes a signing event that enough people have signed. Whoever does it looks at it as a signer does: everything is checked again. */
export async function publishEvent(workshop: Workshop, name: string, options: ChangeOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const found = await findEvent(workshop, name, { offline: false })
  requireOpen(found)
  const repository = await openBase(workshop, found.event, { offline: false })
  const fate = await fateIn(workshop, repository, undertakingOf(found.event))
  if (fate.kind === 'published') return sayPublished(workshop, found.event)
  await checkEvent(repository, openEvent(found.event), machine.clock.now())
  const { event } = await gatherSignatures(repository, found.event, found.signatures)
  await saveEvent(machine.disk, layout.events, { ...event, repository: found.event.repository })
  const standing = await requireComplete(workshop, repository, event)
  if (options.dryRun) {
    const fields = { dry_run: true, unchanged: false, ...eventFields(event, standing) }
    const words = `${event.id} (${event.subject}) has every signature it needs\nNothing was published.`
    return output.answer('netlink.publish.publish/v1', fields, words)
  }
  const delivered = await handOver(workshop, repository, event)
  await removePending(machine.disk, layout.pending, event.subject)
  if (delivered !== undefined && isVersion(event.subject) && event.kind !== 'yank') {
    const manifest = (await delivered.repository.loadManifest(event.subject)).value
    return answerPublished(output, 'netlink.publish.publish/v1', manifest, delivered)
  }
  const fields = { dry_run: false, unchanged: false, ...eventFields(event, standing) }
  const about = event.kind === 'yank' ? `what was signed about ${event.subject}` : event.subject
  output.answer('netlink.publish.publish/v1', fields, `${about} is published (${event.id})`)
}

async function handOver(
  workshop: Workshop,
  repository: Repository,
  event: SigningEvent,
): Promise<Delivered | undefined> {
  const change = changeOf(event)
  if (event.kind === 'root' || event.kind === 'refresh') {
    await publishWaiting(workshop, repository, event.subject, change.documents)
    return undefined
  }
  const artifacts = await notUploaded(workshop, event.artifacts)
  return deliver(workshop, repository, { subject: event.subject, change, artifacts })
}

/** Those that the server lacks: only these have to lie in this folder. */
export async function notUploaded(
  workshop: Workshop,
  artifacts: SigningEvent['artifacts'],
): Promise<SigningEvent['artifacts']> {
  const client = await workshop.client()
  const missing: SigningEvent['artifacts'] = []
  for (const artifact of artifacts) if (!(await client.uploadState(artifact.sha256)).complete) missing.push(artifact)
  return missing
}

function sayPublished({ output }: Workshop, { id, subject }: SigningEvent): void {
  const fields = { dry_run: false, event: id, subject, unchanged: true }
  const words = `${subject} is published already as ${id} proposes it; nothing was left to do`
  output.answer('netlink.publish.publish/v1', fields, words)
}

async function requireComplete(workshop: Workshop, repository: Repository, event: SigningEvent) {
  const standing = eventStanding(workshop, repository, event)
  if (isComplete(standing)) return standing
  const short = standing.filter(({ complete }) => !complete)
  const names = missingNames(standing)
  throw new PublishError('unsigned', `${event.subject} lacks signatures: ${standingLines(short).join('; ')}`, {
    state: `Nothing was published; ${event.id} is open until ${event.until}.`,
    next: [`netlink-publish sign ${event.id} --signer ${names[0] ?? 'NAME'}`],
  })
}
