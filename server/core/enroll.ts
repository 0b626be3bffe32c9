// A machine becomes a host: it redeems one use of an enrolment token and proves that it holds the key it names. Use and host are one transaction,
// and the token's row is locked for it: of two that come at once with the last use, one wins.
import { createHash } from 'node:crypto'
import { desc, eq, lte } from 'drizzle-orm'
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
  if (known?.enrolledWith === token.id && known.epoch === null && known.forkedAt === null)
    return { group: known.group, storedSeq }
  if (!token.usesLeft) {
    throw new CoreError('unauthenticated', `token ${token.id} (${token.name}) has no uses left`, {
      reason: 'used-token',
    })
  }
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
