// Tokens of people and programs: `nlk_<scope>_<id>_<secret><checksum>`.
//
//   nlk_        so that a secret scanner knows one when it sees one
//   scope, id   say which row it is; they are no secret
//   secret      256 random bits in hexadecimal; only their SHA-256 is kept, and that needs no salt
//   checksum    8 digits over all before: a mistyped token is told apart from a revoked one without asking the database
import { createHash, timingSafeEqual } from 'node:crypto'
import { and, desc, eq, lt, or, sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { tokens } from '../../schema/db/tables.ts'
import { type Token, type TokenScope, tokenScopeShape } from '../../schema/rest.ts'
import { writeAudit } from './audit.ts'
import type { Mutation, NewToken, Principal, Tokens } from './core.ts'
import { CoreError } from './core-error.ts'
import { buildPage, CURSOR_PART, parseCursor, parseLimit } from './page.ts'
import type { Db, RandomBytes, Transaction } from './ports.ts'
import { wireTime, wireTimeOrNull } from './wire-time.ts'

export interface TokenDeps {
  readonly db: Db
  readonly clock: Clock
  readonly random: RandomBytes
}

export type TokenRow = typeof tokens.$inferSelect

export interface SpelledToken {
  readonly scope: TokenScope
  readonly id: string
  readonly secretSha256: Buffer
}

const SPELLING = /^(nlk_([a-z-]{1,16})_([0-9a-f]{12})_([0-9a-f]{64}))([0-9a-f]{8})$/

/** What a token's text says. Throws CoreError 'unauthenticated' for anything that was never given out. */
export function parseToken(text: string): SpelledToken {
  const [, body = '', word, id = '', secret = '', checksum] = SPELLING.exec(text) ?? []
  const scope = tokenScopeShape.safeParse(word)
  if (!scope.success || checksum !== checksumOf(body)) {
    throw new CoreError(
      'unauthenticated',
      'expected a token as the server gave it out (nlk_, what it is for, three more parts): this text is none, or part of it is missing',
      {
        reason: 'malformed-token',
      },
    )
  }
  return { scope: scope.data, id, secretSha256: hashSecret(secret) }
}

/** Whether the row is this token's, and the token is good now. Throws CoreError 'unauthenticated' with reason `unknown-token`, `revoked-token` or `expired-token`. */
export function checkToken(spelled: SpelledToken, row: TokenRow | undefined, now: Date): TokenRow {
  // An unknown id and a wrong secret look alike to whoever is guessing.
  if (!row || row.scope !== spelled.scope || !timingSafeEqual(row.secretSha256, spelled.secretSha256)) {
    throw new CoreError('unauthenticated', `token ${spelled.id} is not known here`, { reason: 'unknown-token' })
  }
  if (row.revokedAt) {
    throw new CoreError('unauthenticated', `token ${row.id} (${row.name}) was revoked at ${wireTime(row.revokedAt)}`, {
      reason: 'revoked-token',
    })
  }
  if (row.expiresAt && row.expiresAt <= now) {
    throw new CoreError('unauthenticated', `token ${row.id} (${row.name}) expired at ${wireTime(row.expiresAt)}`, {
      reason: 'expired-token',
    })
  }
  return row
}

export interface TokensWithUse extends Tokens {
  /** Writes when tokens were last used; otherwise kept in memory. */
  flush(): Promise<void>
}

export function buildTokens(deps: TokenDeps): TokensWithUse {
  const { db, clock } = deps
  const lastUsed = new Map<string, Date>()

  return {
    authenticate: async (text) => {
      const spelled = parseToken(text)
      const [found] = await db.queries.select().from(tokens).where(eq(tokens.id, spelled.id))
      const row = checkToken(spelled, found, clock.now())
      if (row.scope === 'host-enroll') {
        throw new CoreError('forbidden', `token ${row.id} enrols hosts and is good for nothing else`, {
          reason: 'enrolment-token',
        })
      }
      lastUsed.set(row.id, clock.now())
      return principalOf(row)
    },
    create: async (request, mutation) => {
      checkRequest(request, clock.now())
      const { row, secret } = spellToken(deps, request)
      if (!mutation.dryRun) await db.transaction((tx) => insertToken(deps, tx, row, mutation, 'token.create'))
      return { token: readToken(row), secret }
    },
    list: async (request) => {
      const limit = parseLimit(request)
      const [createdAt, id] = parseCursor(request, CURSOR_PART.time, CURSOR_PART.text) ?? []
      const rows = await db.queries
        .select()
        .from(tokens)
        .where(
          createdAt === undefined || id === undefined
            ? undefined
            : or(
                lt(tokens.createdAt, new Date(createdAt)),
                and(eq(tokens.createdAt, new Date(createdAt)), lt(tokens.id, id)),
              ),
        )
        .orderBy(desc(tokens.createdAt), desc(tokens.id))
        .limit(limit + 1)
      return buildPage(rows, limit, (row) => [row.createdAt.toISOString(), row.id], readToken)
    },
    revoke: (id, mutation) => db.transaction((tx) => revoke(deps, tx, id, mutation)),
    rotate: (id, mutation) =>
      db.transaction(async (tx) => {
        const old = await loadActive(deps, tx, id)
        const { row, secret } = spellToken(deps, { ...old, uses: old.usesLeft })
        if (!mutation.dryRun) {
          await revoke(deps, tx, id, mutation)
          await insertToken(deps, tx, row, mutation, 'token.rotate')
        }
        return { token: readToken(row), secret }
      }),
    flush: async () => {
      const used = [...lastUsed]
      lastUsed.clear()
      if (used.length === 0) return
      await db.queries.execute(sql`update tokens set last_used_at = used.at
        from unnest(${sql.param(used.map(([id]) => id))}::text[], ${sql.param(used.map(([, date]) => date.toISOString()))}::timestamptz[]) as used(id, at)
        where tokens.id = used.id and (tokens.last_used_at is null or tokens.last_used_at < used.at)`)
    },
  }
}

/** A token without its secret. */
export function readToken(row: TokenRow): Token {
  return {
    id: row.id,
    name: row.name,
    scope: row.scope,
    group: row.group,
    created_at: wireTime(row.createdAt),
    expires_at: wireTimeOrNull(row.expiresAt),
    revoked_at: wireTimeOrNull(row.revokedAt),
    last_used_at: wireTimeOrNull(row.lastUsedAt),
    uses_left: row.usesLeft,
  }
}

function principalOf(row: TokenRow): Principal {
  return { actor: { kind: 'token', id: row.id, name: row.name }, scope: row.scope, group: row.group }
}

function checkRequest(request: NewToken, now: Date): void {
  const issues: { pointer: string; message: string }[] = []
  if (!/^[\p{L}\p{N} ._@:-]{1,128}$/u.test(request.name))
    issues.push({ pointer: '/name', message: 'expected 1 to 128 letters, digits, spaces and ._@:-' })
  if (request.expiresAt && request.expiresAt <= now)
    issues.push({ pointer: '/expires_at', message: 'expected a time to come' })
  if (
    request.scope === 'host-enroll' &&
    !(request.uses && Number.isInteger(request.uses) && request.uses >= 1 && request.uses <= 1_000_000)
  ) {
    issues.push({ pointer: '/uses', message: 'expected 1 to 1000000 uses of an enrolment token' })
  }
  if (request.scope !== 'host-enroll' && request.uses !== null)
    issues.push({ pointer: '/uses', message: 'only enrolment tokens have a number of uses' })
  if (request.scope === 'publish' && request.group !== null)
    issues.push({ pointer: '/group', message: 'a publish token has no group: releases are for all hosts' })
  if (issues.length > 0)
    throw new CoreError('invalid', `token: ${issues.map((issue) => issue.message).join('; ')}`, { issues })
}

function spellToken(deps: TokenDeps, request: NewToken): { row: TokenRow; secret: string } {
  const id = hex(deps.random(6))
  const secret = hex(deps.random(32))
  const body = `nlk_${request.scope}_${id}_${secret}`
  const row: TokenRow = {
    id,
    name: request.name,
    scope: request.scope,
    secretSha256: hashSecret(secret),
    group: request.group,
    createdAt: deps.clock.now(),
    expiresAt: request.expiresAt,
    revokedAt: null,
    lastUsedAt: null,
    usesLeft: request.uses,
  }
  return { row, secret: body + checksumOf(body) }
}

async function insertToken(
  deps: TokenDeps,
  tx: Transaction,
  row: TokenRow,
  mutation: Mutation,
  action: string,
): Promise<void> {
  await tx.insert(tokens).values(row)
  await writeAudit(tx, deps.clock, mutation, { action, subject: row.id, after: readToken(row) })
}

async function loadActive(deps: TokenDeps, tx: Transaction, id: string): Promise<TokenRow> {
  const [row] = await tx.select().from(tokens).where(eq(tokens.id, id)).for('update')
  if (!row) throw new CoreError('not-found', `there is no token ${id}`)
  if (row.revokedAt) throw new CoreError('conflict', `token ${id} was revoked at ${wireTime(row.revokedAt)}`)
  if (row.expiresAt && row.expiresAt <= deps.clock.now())
    throw new CoreError('conflict', `token ${id} expired at ${wireTime(row.expiresAt)}`)
  return row
}

async function revoke(deps: TokenDeps, tx: Transaction, id: string, mutation: Mutation): Promise<Token> {
  const [before] = await tx.select().from(tokens).where(eq(tokens.id, id)).for('update')
  if (!before) throw new CoreError('not-found', `there is no token ${id}`)
  if (before.revokedAt || mutation.dryRun) return readToken(before)
  const now = deps.clock.now()
  await tx.update(tokens).set({ revokedAt: now }).where(eq(tokens.id, id))
  const after = readToken({ ...before, revokedAt: now })
  await writeAudit(tx, deps.clock, mutation, { action: 'token.revoke', subject: id, before: readToken(before), after })
  return after
}

function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(Buffer.from(secret, 'hex')).digest()
}

function checksumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 8)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
