// A machine becomes a host: it redeems one use of an enrolment token and proves that it holds the key it names. Use and host are one transaction,
// and the token's row is locked for it: of two that come at once with the last use, one wins.
import { createHash } from 'node:crypto'
import { and, desc, eq, lte, ne, sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { hosts, repository, roleDocuments, tokens } from '../../schema/db/tables.ts'
import { type EnrollRequest, enrollStatement } from '../../schema/rest.ts'
import type { Channel } from '../../schema/version.ts'
import { writeAudit } from './audit.ts'
import type { RingingBell } from './bell.ts'
import type { Enrolment } from './core.ts'
import { CoreError } from './core-error.ts'
import { hostIdOf, verifyNewHostKey } from './host-key.ts'
import type { Db, Transaction } from './ports.ts'
import { checkToken, parseToken, type TokenRow } from './tokens.ts'

export interface EnrolmentDeps {
  readonly db: Db
  readonly clock: Clock
  readonly bell: RingingBell
}

export function buildEnrolment(deps: EnrolmentDeps): Enrolment {
  const { db, bell } = deps
  return {
    enroll: async (request, requestId) => {
      const { product } = bell.remembered.published
      if (product === null) {
        throw new CoreError('conflict', 'nothing is published here yet: there is no product that a host could follow', {
          next: ['netlink-publish init'],
        })
      }
      const spelled = parseToken(request.token)
      const tokenSha256 = createHash('sha256').update(request.token).digest('hex')
      const publicKey = verifyNewHostKey(request.public_key, enrollStatement(tokenSha256, request.name), request.proof)
      const hostId = hostIdOf(publicKey)
      const { group, storedSeq } = await db.transaction(async (tx) => {
        const [found] = await tx.select().from(tokens).where(eq(tokens.id, spelled.id)).for('update')
        const token = checkToken(spelled, found, deps.clock.now())
        return redeem(deps, tx, { token, hostId, publicKey, request, requestId })
      })
      const channel_role = await loadChannelRole(db, request.channel)
      return { host_id: hostId, product, group, brake: bell.remembered.brake, stored_seq: storedSeq, channel_role }
    },
  }
}

/** JSON escapes its quotes and line ends: more would be more than an agent reads. */
const MAX_ROLE_BYTES = 524_288

/** What was accepted and not published yet is not handed over: its host could not find it. */
async function loadChannelRole(db: Db, channel: Channel): Promise<string | null> {
  const [row] = await db.queries
    .select({ document: roleDocuments.document })
    .from(roleDocuments)
    .innerJoin(repository, lte(roleDocuments.acceptedAt, repository.sealedAt))
    .where(eq(roleDocuments.role, channel))
    .orderBy(desc(roleDocuments.version))
    .limit(1)
  return row && row.document.length <= MAX_ROLE_BYTES ? Buffer.from(row.document).toString('utf8') : null
}

interface Redemption {
  readonly token: TokenRow
  readonly hostId: string
  readonly publicKey: Uint8Array
  readonly request: EnrollRequest
  readonly requestId: string | undefined
}

interface Redeemed {
  readonly group: string | null
  readonly storedSeq: number
}

async function redeem(deps: EnrolmentDeps, tx: Transaction, one: Redemption): Promise<Redeemed> {
  const { token, hostId, request } = one
  if (token.scope !== 'host-enroll')
    throw new CoreError('forbidden', `token ${token.id} is of scope ${token.scope} and enrols no hosts`)
  const [known] = await tx.select().from(hosts).where(eq(hosts.hostId, hostId)).for('update')
  const storedSeq = known?.storedSeq ?? 0
  // The answer to an earlier try was lost on its way: the use is taken already, and the host has not spoken since.
  const isSilent = known?.epoch === null && known.forkedAt === null
  if (isSilent && known.enrolledWith === token.id && known.name === request.name)
    return { group: known.group, storedSeq }
  if (!token.usesLeft) {
    throw new CoreError('unauthenticated', `token ${token.id} (${token.name}) has no uses left`, {
      reason: 'used-token',
    })
  }
  if (known?.name !== request.name) await refuseTakenName(tx, hostId, request.name)
  const now = deps.clock.now()
  // A token that belongs to a group decides over it, whatever the machine says.
  const group = token.group ?? request.group
  await tx
    .update(tokens)
    .set({ usesLeft: token.usesLeft - 1, lastUsedAt: now })
    .where(eq(tokens.id, token.id))
  const facts = {
    name: request.name,
    group,
    labels: request.labels,
    platform: request.platform,
    channel: request.channel,
    enrolledWith: token.id,
  }
  // Whoever holds a token vouches for the machine that comes with it: its next report begins a chain, and what was said of another machine is over.
  const anew = { epoch: null, tip: null, forkedAt: null, fork: null }
  if (known)
    await tx
      .update(hosts)
      .set({ ...facts, ...anew })
      .where(eq(hosts.hostId, hostId))
  else await tx.insert(hosts).values({ ...facts, hostId, publicKey: one.publicKey, enrolledAt: now })
  const mutation = {
    actor: { kind: 'token', id: token.id, name: token.name } as const,
    reason: null,
    ...(one.requestId === undefined ? {} : { requestId: one.requestId }),
  }
  const { enrolledWith: _, ...after } = facts
  await writeAudit(tx, deps.clock, mutation, {
    action: known ? 'host.enroll_again' : 'host.enroll',
    subject: hostId,
    ...(known?.fork ? { before: { fork: known.fork } } : {}),
    after,
  })
  return { group, storedSeq }
}

/** A name is one host's for as long as the server knows it: whoever holds a token can't make `hosts show web-01` mean two, or mean another. */
async function refuseTakenName(tx: Transaction, hostId: string, name: string): Promise<void> {
  // Of two machines that come with one name at once, each with a token of its own, the second waits here.
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${name}, ${NAME_LOCK}))`)
  const [other] = await tx
    .select({ hostId: hosts.hostId })
    .from(hosts)
    .where(and(eq(hosts.name, name), ne(hosts.hostId, hostId)))
    .limit(1)
  if (!other) return
  throw new CoreError('conflict', `another host is called ${name} here`, {
    reason: 'name-taken',
    next: [
      `netlink-admin hosts show ${name}`,
      `netlink-admin hosts forget ${name}      (if this machine takes its place)`,
      'netlink agent enroll --name OTHER …      (if it does not)',
    ],
  })
}

/** Tells locks on names from other advisory locks. */
const NAME_LOCK = 20_261_123
