// Signing events: where proposals and signatures meet. This server is no judge of them: every signer recomputes what is signed. What it checks keeps its own
// house in order, so that nobody can fill it, and junk never stands where a good signature belongs.
//
//   propose      id, times and versions fit; at most so many open ones, of so many bytes together; signatures that do not verify are left out
//   sign         only what verifies against the accepted roles is kept
//   abort        by anybody who may publish; told to everybody who asks
import { and, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import { parseDocument, signDocument } from '../../keys/document.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import { eventDocuments, eventIdOf, signatureNeeds, signerOf } from '../../keys/signing-event.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { roleDocuments, signingEventSignatures, signingEvents } from '../../schema/db/tables.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import {
  type EventSignature,
  type EventSignaturesAnswer,
  type EventState,
  type EventSummary,
  eventSignatureShape,
  type SigningEvent,
} from '../../schema/signing-event.ts'
import { writeAudit } from './audit.ts'
import { unverified } from './candidate.ts'
import type { Mutation, Page, PageRequest, SigningEvents } from './core.ts'
import { CoreError } from './core-error.ts'
import { buildPage, CURSOR_PART, parseCursor, parseLimit } from './page.ts'
import type { Db, Queries, Transaction } from './ports.ts'
import { type Accepted, loadAccepted, lockRepository } from './role-documents.ts'
import { wireTime } from './wire-time.ts'

export interface SigningEventDeps {
  readonly db: Db
  readonly clock: Clock
}

const DAY_MS = 86_400_000
const MAX_OPEN_MS = 90 * DAY_MS
const AHEAD_MS = 10 * 60_000
/** So many may be open at once, and so large may they be together. */
const MAX_OPEN = 32
const MAX_OPEN_BYTES = 128 * 1_048_576
/** How long one is kept after its time was over. */
const KEPT_MS = 30 * DAY_MS

type Row = typeof signingEvents.$inferSelect
type ShortRow = Omit<Row, 'event'>

export function buildSigningEvents(deps: SigningEventDeps): SigningEvents {
  const { db, clock } = deps
  return {
    list: (request) => list(deps, request),
    load: async (id) => {
      const row = await loadRow(db.queries, id)
      return { summary: await summaryOf(deps, row), event: row.event }
    },
    propose: async (event, mutation) => {
      const accepted = await loadAccepted(db)
      const now = clock.now()
      checkProposal(event, now)
      checkVersions(event, accepted)
      const good = verifiedOf(event, accepted, signaturesIn(event))
      const plain = await withoutSignatures(event)
      if (!mutation.dryRun) await db.transaction((tx) => insert(deps, tx, plain, good, mutation))
      return summaryOf(deps, await loadRow(db.queries, event.id))
    },
    sign: async (id, signatures, mutation) => {
      const row = await loadRow(db.queries, id)
      await requireOpen(deps, row)
      const good = verifiedOf(row.event, await loadAccepted(db), signatures)
      if (good.length === 0)
        throw new CoreError('unverified', `none of these signatures is good for ${id}`, { reason: 'unsigned' })
      const added = await db.transaction((tx) => insertSignatures(deps, tx, id, good, mutation))
      return {
        added,
        known: good.length - added,
        dropped: signatures.length - good.length,
        summary: await summaryOf(deps, row),
      } satisfies EventSignaturesAnswer
    },
    abort: async (id, reason, mutation) => {
      const row = await loadRow(db.queries, id)
      if (row.abortedAt === null) await requireOpen(deps, row)
      await db.transaction(async (tx) => {
        const free = and(eq(signingEvents.id, id), isNull(signingEvents.abortedAt))
        const [stopped] = await tx
          .update(signingEvents)
          .set({ abortedAt: clock.now(), abortReason: reason })
          .where(free)
          .returning({ id: signingEvents.id })
        if (stopped) await writeAudit(tx, clock, mutation, { action: 'event.abort', subject: id, before: row.facts })
      })
      return summaryOf(deps, await loadRow(db.queries, id))
    },
  }
}

// ---- what is taken in ------------------------------------------------------------------------------------------------------------

function checkProposal(event: SigningEvent, now: Date): void {
  const { schema: _schema, id, ...proposal } = event
  const actual = reading(() => eventIdOf(proposal))
  if (actual !== id)
    throw new CoreError('invalid', `expected the id ${actual}, which is that of the content, found ${id}`, {
      issues: [{ pointer: '/id', message: `expected ${actual}` }],
    })
  const [from, until] = [new Date(event.proposed_at).getTime(), new Date(event.until).getTime()]
  const isSane = from <= now.getTime() + AHEAD_MS && until > now.getTime() && until - from <= MAX_OPEN_MS
  if (!isSane)
    throw new CoreError(
      'refused',
      `${id} is open from ${event.proposed_at} until ${event.until}, and it is ${wireTime(now)}`,
      {
        reason: 'expired',
      },
    )
}

/** What does not come next can never be published. */
function checkVersions(event: SigningEvent, { root, roles }: Accepted): void {
  for (const [role, version] of Object.entries(versionsOf(event))) {
    const ours = role === 'root' ? (root?.version ?? 0) : (roles.get(role)?.version ?? 0)
    if (version === ours + 1) continue
    throw new CoreError('conflict', `${event.id} has ${role} version ${version}, and version ${ours} is accepted`, {
      reason: 'overtaken',
      expected: String(ours + 1),
      actual: String(version),
    })
  }
}

function versionsOf(event: SigningEvent): Record<string, number> {
  return Object.fromEntries(
    [...reading(() => eventDocuments(event))].map(([role, bytes]) => {
      const { version } = reading(() => parseDocument(bytes, role)).signed
      if (typeof version === 'number' && version >= 1) return [role, version]
      throw new CoreError('unverified', `${role}: expected a version`, { reason: 'malformed' })
    }),
  )
}

function signaturesIn(event: SigningEvent): readonly EventSignature[] {
  return [...eventDocuments(event)].flatMap(([role, bytes]) =>
    reading(() => parseDocument(bytes, role)).signatures.flatMap(({ keyid, sig }) => {
      const parsed = eventSignatureShape.safeParse({ role, keyid, sig: sig.toLowerCase() })
      return parsed.success ? [parsed.data] : []
    }),
  )
}

/** Those that the keys of the accepted roles, or the documents above them in the event, call for. Once each. */
function verifiedOf(
  event: SigningEvent,
  { root, roles }: Accepted,
  signatures: readonly EventSignature[],
): readonly EventSignature[] {
  const targets = roles.get('targets')
  if (!root || !targets) throw new CoreError('conflict', 'there is no repository here yet', { reason: 'no-root' })
  const documents = eventDocuments(event)
  const trusted = trustRoot(root.bytes)
  const base = { root: trusted, targets: verifyRole(trusted, 'targets', roleTypes.targets, targets.bytes) }
  const needs = reading(() => signatureNeeds(base, documents))
  const seen = new Set<string>()
  return signatures.filter((signature) => {
    const { role, keyid } = signature
    const bytes = documents.get(role)
    const name = `${role} ${keyid}`
    if (bytes === undefined || seen.has(name)) return false
    if (signerOf(parseDocument(bytes, role), needs.get(role) ?? [], signature) === undefined) return false
    seen.add(name)
    return true
  })
}

async function withoutSignatures(event: SigningEvent): Promise<SigningEvent> {
  const documents: Record<string, string> = {}
  for (const [role, bytes] of eventDocuments(event)) {
    const plain = await signDocument(parseDocument(bytes, role).signed, [])
    documents[role] = Buffer.from(plain).toString('base64')
  }
  return { ...event, documents }
}

/** The same proposal again is no news; its signatures may be. */
async function insert(
  { clock }: SigningEventDeps,
  tx: Transaction,
  event: SigningEvent,
  signatures: readonly EventSignature[],
  mutation: Mutation,
): Promise<void> {
  await lockRepository(tx)
  const now = clock.now()
  const [known] = await tx.select({ id: signingEvents.id }).from(signingEvents).where(eq(signingEvents.id, event.id))
  if (!known) {
    await tx.delete(signingEvents).where(lt(signingEvents.until, new Date(now.getTime() - KEPT_MS)))
    const bytes = Buffer.byteLength(JSON.stringify(event))
    await checkRoom(tx, bytes, now)
    const { documents: _documents, manifests: _manifests, artifacts: _artifacts, trees: _trees, ...facts } = event
    const until = new Date(event.until)
    await tx
      .insert(signingEvents)
      .values({ id: event.id, facts, event, roles: versionsOf(event), bytes, createdAt: now, until })
    await writeAudit(tx, clock, mutation, { action: 'event.propose', subject: event.id, after: facts })
  }
  await insertSignatures({ clock }, tx, event.id, signatures, mutation)
}

async function checkRoom(tx: Transaction, bytes: number, now: Date): Promise<void> {
  const [open] = await tx
    .select({ count: sql<number>`count(*)::int`, bytes: sql<number>`coalesce(sum(bytes), 0)::float8` })
    .from(signingEvents)
    .where(and(isNull(signingEvents.abortedAt), gt(signingEvents.until, now)))
  if (!open || (open.count < MAX_OPEN && Number(open.bytes) + bytes <= MAX_OPEN_BYTES)) return
  throw new CoreError('conflict', `${open.count} signing events are open, and no more are taken in`, {
    reason: 'too-many',
    next: ['netlink-publish abort EVENT --reason WORDS'],
  })
}

async function insertSignatures(
  { clock }: Pick<SigningEventDeps, 'clock'>,
  tx: Transaction,
  id: string,
  signatures: readonly EventSignature[],
  mutation: Mutation,
): Promise<number> {
  if (signatures.length === 0) return 0
  const rows = signatures.map(({ role, keyid, sig }) => ({ eventId: id, role, keyid, sig, addedAt: clock.now() }))
  const added = await tx
    .insert(signingEventSignatures)
    .values(rows)
    .onConflictDoNothing()
    .returning({ role: signingEventSignatures.role, keyid: signingEventSignatures.keyid })
  if (added.length > 0) await writeAudit(tx, clock, mutation, { action: 'event.sign', subject: id, after: added })
  return added.length
}

/** A refusal of keys/ or of a shape in the core's words. */
function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof TrustError) throw unverified(error)
    if (error instanceof ShapeError)
      throw new CoreError('unverified', error.message, { reason: 'malformed' }, { cause: error })
    throw error
  }
}

// ---- what is told ----------------------------------------------------------------------------------------------------------------

const SHORT = {
  id: signingEvents.id,
  facts: signingEvents.facts,
  roles: signingEvents.roles,
  bytes: signingEvents.bytes,
  createdAt: signingEvents.createdAt,
  until: signingEvents.until,
  abortedAt: signingEvents.abortedAt,
  abortReason: signingEvents.abortReason,
} as const

async function list(deps: SigningEventDeps, request: PageRequest): Promise<Page<EventSummary>> {
  const limit = parseLimit(request)
  const [createdAt, id] = parseCursor(request, CURSOR_PART.time, CURSOR_PART.text) ?? []
  const after =
    createdAt === undefined || id === undefined
      ? undefined
      : or(
          lt(signingEvents.createdAt, new Date(createdAt)),
          and(eq(signingEvents.createdAt, new Date(createdAt)), lt(signingEvents.id, id)),
        )
  const rows = await deps.db.queries
    .select(SHORT)
    .from(signingEvents)
    .where(after)
    .orderBy(desc(signingEvents.createdAt), desc(signingEvents.id))
    .limit(limit + 1)
  const summaries = new Map<string, EventSummary>()
  for (const row of rows.slice(0, limit)) summaries.set(row.id, await summaryOf(deps, row))
  return buildPage(
    rows,
    limit,
    (row) => [row.createdAt.toISOString(), row.id],
    (row) => summaries.get(row.id) ?? notRead(row.id),
  )
}

function notRead(id: string): never {
  throw new Error(`the signing event ${id} was listed and not read`)
}

async function loadRow(queries: Queries, id: string): Promise<Row> {
  const [row] = await queries.select().from(signingEvents).where(eq(signingEvents.id, id))
  if (!row) throw new CoreError('not-found', `there is no signing event ${id}`)
  return row
}

async function summaryOf(deps: SigningEventDeps, row: ShortRow): Promise<EventSummary> {
  const signatures = await deps.db.queries
    .select({
      role: signingEventSignatures.role,
      keyid: signingEventSignatures.keyid,
      sig: signingEventSignatures.sig,
    })
    .from(signingEventSignatures)
    .where(eq(signingEventSignatures.eventId, row.id))
    .orderBy(signingEventSignatures.role, signingEventSignatures.keyid)
  const aborted = row.abortedAt && { at: wireTime(row.abortedAt), reason: row.abortReason ?? '' }
  return { ...row.facts, state: await stateOf(deps, row), aborted, signatures }
}

async function requireOpen(deps: SigningEventDeps, row: ShortRow): Promise<void> {
  const state = await stateOf(deps, row)
  if (state === 'open') return
  throw new CoreError('conflict', `${row.id} is not open any more: it is ${state}`, { reason: state })
}

async function stateOf({ db, clock }: SigningEventDeps, row: ShortRow): Promise<EventState> {
  const accepted = await db.queries
    .select({ role: roleDocuments.role, version: roleDocuments.version, document: roleDocuments.document })
    .from(roleDocuments)
    .where(
      and(
        inArray(roleDocuments.role, Object.keys(row.roles)),
        inArray(roleDocuments.version, Object.values(row.roles)),
      ),
    )
  const taken = accepted.filter(({ role, version }) => row.roles[role] === version)
  if (taken.length > 0) return isSame(await loadRow(db.queries, row.id), taken) ? 'published' : 'overtaken'
  if (row.abortedAt) return 'aborted'
  return row.until <= clock.now() ? 'expired' : 'open'
}

/** Whether what is accepted is what was proposed, with whichever signatures. */
function isSame({ event }: Row, taken: readonly { role: string; document: Uint8Array }[]): boolean {
  const documents = eventDocuments(event)
  return taken.every(({ role, document }) => {
    const ours = documents.get(role)
    if (ours === undefined) return false
    return Buffer.from(parseDocument(ours, role).message).equals(parseDocument(document, role).message)
  })
}
