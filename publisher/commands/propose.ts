import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { Keyring } from '../../keys/key-file.ts'
import { eventDocuments } from '../../keys/signing-event.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { parseDuration } from '../../schema/duration.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import {
  type CarriedRepository,
  type EventKind,
  isSubject,
  type SigningEvent,
  type Subject,
} from '../../schema/signing-event.ts'
import { channelOf, isVersion, type Version } from '../../schema/version.ts'
import { uploadArtifact } from '../deliver.ts'
import { applyMinimum, type ChannelDraft, utcSeconds } from '../edit.ts'
import { carriedRepository } from '../event/carry.ts'
import { MAX_OPEN_MS } from '../event/check.ts'
import { askConsentToPending, type ConsentOptions } from '../event/consent.ts'
import {
  buildEvent,
  type Draft,
  eventHolders,
  eventStanding,
  gatherSignatures,
  inBase64,
  signaturesIn,
  signEvent,
  withListings,
} from '../event/event.ts'
import { draftOfPending } from '../event/pending.ts'
import { reviewEvent } from '../event/review.ts'
import { eventFields, eventTitle, missingNames, standingLines } from '../event/standing.ts'
import { saveEvent, writeJson } from '../event/store.ts'
import { listingOf } from '../event/trees.ts'
import type { ReleaseTree } from '../event/words.ts'
import { failureFactsOf } from '../failure-facts.ts'
import { manifestBytes } from '../manifest.ts'
import { loadPending, type Pending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import {
  buildRelease,
  closeDrafts,
  lastBytesOf,
  manifestOf,
  requireClean,
  requireNewer,
  withManifest,
} from '../release.ts'
import type { Repository } from '../repository.ts'
import { findTwins } from '../twins.ts'
import { asksToSign, type Workshop, withLockedWorkshop } from '../workshop.ts'
import { requireWritable } from '../written-file.ts'
import {
  type CommandContext,
  collect,
  type SharedOptions,
  versionArgument,
  withConsent,
  withShared,
  withSigners,
} from './context.ts'
import { planPromotion } from './promote.ts'
import { planYank } from './yank.ts'

interface ProposeOptions extends SharedOptions, ConsentOptions {
  readonly from?: readonly string[]
  readonly changelog?: string
  readonly promote?: string
  readonly allowSkip?: boolean
  readonly yank?: boolean
  readonly undo?: boolean
  readonly minimum?: boolean
  readonly allowLower?: boolean
  readonly reason?: string
  readonly severity: string
  readonly replaceWith?: string
  readonly until: string
  readonly by?: string
  readonly offline?: boolean
  readonly out?: string
}

/** Adds `propose VERSION`. */
export function addPropose(program: Command, context: CommandContext): void {
  withConsent(
    withSigners(
      withShared(program.command('propose').argument('<subject>', 'a version, or what waits', subjectArgument)),
    ),
  )
    .description('open a signing event: a change that several people sign, each on a machine of their own')
    .option('--from <folder>', 'a new release: DIR, or PLATFORM=DIR for each platform', collect)
    .option('--changelog <file>', 'changelog in a file of its own')
    .option('--promote <channel>', 'the same bytes for beta or release')
    .option('--allow-skip', 'from alpha to release at once; needs --reason')
    .option('--yank', 'withdraw the version; needs --reason')
    .option('--undo', 'with --yank: take the withdrawal back')
    .option('--minimum', 'the version is the least that a new host may begin with')
    .option('--allow-lower', 'with --minimum: below the one that is signed now')
    .option('--reason <words>', 'why it is withdrawn, or why a stage is skipped')
    .option('--severity <degree>', 'with --yank: low, high or critical', 'high')
    .option('--replace-with <version>', 'with --yank: what to install instead', versionArgument)
    .option('--until <duration>', 'how long it can be signed', '7d')
    .option('--by <name>', 'who proposes it, if not the first signer')
    .option('--offline', 'without the server: over the trusted copy in the folder')
    .option('--out <file>', 'write the event into a file that can be carried to a machine without a network')
    .action((subject: Subject, options: ProposeOptions) =>
      context.perform(
        options,
        'events',
        (output) =>
          withLockedWorkshop(context.machine, output, options, 'netlink-publish propose', (workshop) =>
            propose(workshop, subject, options),
          ),
        'Nothing was proposed.',
      ),
    )
}

function subjectArgument(value: string): Subject {
  if (isSubject(value)) return value
  throw new InvalidArgumentError('Expected a version such as 0a1, or what waits, such as root-2.')
}

async function propose(workshop: Workshop, subject: Subject, options: ProposeOptions): Promise<void> {
  const { machine, output, config, layout } = workshop
  const offline = options.offline ?? false
  const openMs = parseUntil(options.until)
  if (options.out !== undefined) await requireWritable(machine.disk, resolve(machine.cwd, options.out))
  if (!offline) output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = await openRepository(workshop, subject, offline)
  const plan = await planProposal(workshop, repository, subject, options)
  const latest = new Date(plan.proposedAt).getTime() + MAX_OPEN_MS
  const unlisted = await buildEvent(repository, plan.draft, {
    proposedBy: options.by ?? options.signer?.[0] ?? null,
    proposedAt: plan.proposedAt,
    until: utcSeconds(new Date(Math.min(machine.clock.now().getTime() + openMs, latest))),
  })
  // What this machine would not sign itself is not sent to others.
  const { checked, trees } = await reviewEvent(workshop, repository, unlisted, { offline, maxFiles: 0 })
  const proposed = listed(workshop, unlisted, trees)
  // Before anybody signs: where something of it is not at hand, nothing was signed or kept.
  const isCarried = options.out !== undefined || offline
  const carried = isCarried
    ? await carriedRepository(workshop, repository, checked.expected.cited, { offline })
    : undefined
  if (plan.waiting !== undefined && asksToSign(options)) {
    const command = `netlink-publish propose ${subject}`
    await askConsentToPending(workshop, repository, plan.waiting, { command, offline, options })
  }
  const holders = await eventHolders(workshop, repository, proposed)
  const keyrings = asksToSign(options) ? await workshop.openKeyrings(options, holders) : []
  await requireOnlyOne(workshop, proposed, keyrings)
  const event = await withSignatures(repository, proposed, plan, keyrings)
  const standing = eventStanding(workshop, repository, event)
  await saveEvent(machine.disk, layout.events, event)
  try {
    const file = carried === undefined ? null : await writeCarried(workshop, event, carried, options)
    if (!offline) await send(workshop, event)
    sayProposed(workshop, event, standing, { file, offline })
  } catch (error) {
    throw keptHere(workshop, event, error)
  }
}

/** From here on "nothing was proposed" would be a lie: its signatures are good, and the next of its number is refused. */
function keptHere({ config }: Workshop, { id }: SigningEvent, error: unknown): Failure {
  const state = `${id} is kept in this folder; whether it has reached anybody else is not known.`
  const facts = failureFactsOf(error, state, config.holders)
  const next = [...facts.next, `netlink-publish abort ${id} --reason WORDS      (then the same command again)`]
  return new Failure({ ...facts, state, next }, { cause: error })
}

/** Nobody signs two documents of one role and number unless the first was stopped: both would be good for ever. Throws PublishError `policy`. */
async function requireOnlyOne(workshop: Workshop, event: SigningEvent, keyrings: readonly Keyring[]): Promise<void> {
  const keyids = keyrings.flatMap(({ keys }) => keys.map(({ signer }) => signer.publicKey.keyid))
  const [twin] = (await findTwins(workshop, eventDocuments(event), keyids)).filter(({ isOver }) => !isOver)
  if (twin === undefined) return
  const message = `another ${twin.what} was signed here before: ${twin.where}; two documents never share a number`
  throw new PublishError('policy', message, {
    state: 'Nothing was signed or proposed.',
    next: [`netlink-publish abort ${twin.name} --reason WORDS      (then the same command again)`],
  })
}

/** What waits may be there because something has expired. */
function openRepository(workshop: Workshop, subject: Subject, offline: boolean): Promise<Repository> {
  if (offline) return workshop.offline()
  return workshop.refresh(undefined, isVersion(subject) ? 'enforce' : 'report')
}

function parseUntil(text: string): number {
  try {
    const openMs = parseDuration(text)
    if (openMs >= 60_000 && openMs <= MAX_OPEN_MS) return openMs
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
  }
  throw new PublishError(
    'usage',
    `--until takes a duration from 1m to ${MAX_OPEN_MS / 86_400_000}d such as 7d, not ${text}`,
  )
}

interface Plan {
  readonly draft: Draft
  readonly proposedAt: string
  /** What waited in the folder, with the signatures that it has; undefined for what this command has made. */
  readonly waiting: Pending | undefined
}

/** What is proposed: exactly one of the flags says it, and without any it is what waits in the folder. */
async function planProposal(
  workshop: Workshop,
  repository: Repository,
  subject: Subject,
  options: ProposeOptions,
): Promise<Plan> {
  const { from, promote, yank = false, minimum = false } = options
  const asked = [from !== undefined, promote !== undefined, yank, minimum].filter(Boolean).length
  if (asked > 1) throw new PublishError('usage', 'propose takes one of --from, --promote, --yank and --minimum')
  if (asked === 0) return planPending(workshop, repository, subject)
  if (!isVersion(subject))
    throw new PublishError('usage', `--from, --promote, --yank and --minimum are about a version, not ${subject}`)
  if (options.from !== undefined) return planRelease(workshop, repository, subject, options)
  if (options.promote !== undefined) {
    const how = { ...options, to: options.promote }
    const { draft, manifest } = await planPromotion(workshop, repository, subject, how)
    return planOf(workshop, repository, { kind: 'promote', subject: manifest.version, draft, manifest })
  }
  if (minimum) {
    const draft = applyMinimum(await repository.openDraft(channelOf(subject)), subject, options.allowLower ?? false)
    return planOf(workshop, repository, { kind: 'minimum', subject, draft, manifest: undefined })
  }
  const { draft } = await planYank(workshop, repository, subject, options)
  return planOf(workshop, repository, { kind: 'yank', subject, draft, manifest: undefined })
}

async function planRelease(
  workshop: Workshop,
  repository: Repository,
  version: Version,
  options: ProposeOptions,
): Promise<Plan> {
  const { machine, config } = workshop
  const draft = await repository.openDraft(channelOf(version))
  const previous = requireNewer(draft, version)
  const lastBytes = await lastBytesOf(repository, version)
  const built = await buildRelease(workshop, version, options.from ?? [], { changelog: options.changelog, lastBytes })
  requireClean(workshop, built)
  const manifest = manifestOf(built, { product: config.product, previous, now: machine.clock.now() })
  const next = withManifest(draft, manifest)
  return planOf(workshop, repository, { kind: 'release', subject: version, draft: next, manifest })
}

async function planOf(
  { machine }: Workshop,
  repository: Repository,
  facts: { kind: EventKind; subject: Version; draft: ChannelDraft; manifest: Manifest | undefined },
): Promise<Plan> {
  const { kind, subject, draft, manifest } = facts
  const proposedAt = utcSeconds(machine.clock.now())
  const artifacts = kind === 'release' ? (manifest?.artifacts ?? []) : []
  return {
    proposedAt,
    waiting: undefined,
    draft: {
      kind,
      subject,
      closed: await closeDrafts(repository, draft, new Date(proposedAt)),
      manifests: new Map(manifest === undefined ? [] : [[manifestPath(manifest.version), manifestBytes(manifest)]]),
      artifacts: artifacts.map(({ sha256, length }) => ({ sha256, length })),
    },
  }
}

/** Something that was signed here by too few, or a change of the root: with the signatures that it has. */
async function planPending({ machine, layout }: Workshop, repository: Repository, subject: Subject): Promise<Plan> {
  const waiting = await loadPending(machine.disk, layout.pending, subject)
  if (waiting === undefined)
    throw new PublishError('usage', `nothing waits as ${subject}: say what is proposed`, { next: [makes(subject)] })
  return { draft: await draftOfPending(repository, waiting), proposedAt: waiting.signedAt, waiting }
}

/** The command that makes something to propose. */
function makes(subject: Subject): string {
  if (isVersion(subject)) return `netlink-publish propose ${subject} --from DIR`
  return subject.startsWith('root-')
    ? 'netlink-publish root --help      (an edit of root is kept until it is proposed)'
    : 'netlink-publish expire refresh      (what is signed anew is kept until it is proposed)'
}

/** More would make the event too large to send; whoever signs then reads the archive itself. */
const MAX_LISTED_CHARS = 5_000_000

/** The event with the files that were shown of it, those before last: they are the first to be left out. */
function listed({ output }: Workshop, event: SigningEvent, trees: readonly ReleaseTree[]): SigningEvent {
  const listings = new Map<string, string>()
  let chars = 0
  for (const entries of [
    ...trees.map(({ files }) => files),
    ...trees.flatMap(({ before }) => (before ? [before] : [])),
  ]) {
    const { digest, text } = listingOf(entries)
    if (listings.has(digest)) continue
    chars += text.length
    if (chars <= MAX_LISTED_CHARS) listings.set(digest, text)
    else output.warn('the list of files is too long to send: signers need the archive')
  }
  return withListings(event, listings)
}

async function withSignatures(
  repository: Repository,
  event: SigningEvent,
  { waiting }: Plan,
  keyrings: readonly Keyring[],
): Promise<SigningEvent> {
  const before = waiting === undefined ? [] : signaturesIn({ documents: inBase64(waiting.change.documents) })
  const { event: gathered } = await gatherSignatures(repository, event, before)
  return keyrings.length === 0 ? gathered : (await signEvent(repository, gathered, keyrings)).event
}

/** Writes the file that is carried by hand: it is wanted, or there is no server. */
async function writeCarried(
  { machine }: Workshop,
  event: SigningEvent,
  repository: CarriedRepository,
  options: ProposeOptions,
): Promise<string> {
  const file = resolve(machine.cwd, options.out ?? `${event.id}.json`)
  await writeJson(machine.disk, file, { ...event, repository })
  return file
}

async function send(workshop: Workshop, event: SigningEvent): Promise<void> {
  for (const artifact of event.artifacts) await uploadArtifact(workshop, artifact)
  workshop.output.phase('propose', `hand ${event.id} to ${workshop.config.server}`)
  await (await workshop.events()).propose(event)
}

function sayProposed(
  { output }: Workshop,
  event: SigningEvent,
  standing: ReturnType<typeof eventStanding>,
  { file, offline }: { readonly file: string | null; readonly offline: boolean },
): void {
  const names = missingNames(standing)
  const what = offline && file !== null ? file : event.id
  const next =
    names.length === 0
      ? [`  netlink-publish publish ${event.id}`]
      : names.map((name) => `  netlink-publish sign ${what} --signer ${name}      (where ${name}'s keys are)`)
  output.answer(
    'netlink.publish.propose/v1',
    { ...eventFields(event, standing), file },
    [
      eventTitle(event),
      ...standingLines(standing).map((line) => `  ${line}`),
      `Tell the signers this id by another way than the server: ${event.id}`,
      ...(file === null ? [] : [`written to ${file}`]),
      'Next:',
      ...next,
    ].join('\n'),
  )
}
