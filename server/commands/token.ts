// `netlink-server token …` and `enroll-token create`: on a running server and on one that is not.
import { createFileDurable, replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { renderTable } from '../../schema/cli/table.ts'
import { type Token, type TokenScope, tokenScopes } from '../../schema/rest.ts'
import { wireTime } from '../core/wire-time.ts'
import { type Answer, type Machine, parseDuration, type SharedOptions, usage } from './context.ts'
import { askLocal } from './local.ts'

export interface CreateOptions extends SharedOptions {
  readonly name: string
  readonly scope: string
  readonly expires?: string
  readonly group?: string
  readonly uses?: string
  readonly out?: string
}

/** Makes a token. Its secret goes to the file of `--out`, else to stdout, once. */
export async function createToken(machine: Machine, options: CreateOptions): Promise<Answer> {
  const scope = tokenScopes.find((one) => one === options.scope)
  if (!scope) throw usage(`unknown scope ${JSON.stringify(options.scope)}`, `expected one of ${tokenScopes.join(', ')}`)
  const made = await make(machine, options, scope)
  if (options.out !== undefined) await writeSecret(machine, options, made)
  const { token, secret } = made
  const where = options.out === undefined ? secret : `secret written to ${options.out}`
  return {
    schema: 'netlink.server.token.create/v1',
    fields: { token, ...(options.out === undefined ? { secret } : { file: options.out }) },
    text: `${where}\n${options.out === undefined ? 'It is shown this once.\n' : ''}${summary(token)}\n`,
  }
}

export interface EnrollTokenOptions extends SharedOptions {
  readonly uses: string
  readonly expires: string
  readonly group?: string
  readonly name?: string
  readonly out: string
  readonly force?: boolean
}

/** Makes an enrolment token and writes its secret to a file of mode 0600. */
export async function createEnrollToken(machine: Machine, options: EnrollTokenOptions): Promise<Answer> {
  const { name = 'enrolment', ...rest } = options
  const made = await make(machine, { ...rest, name, scope: 'host-enroll' }, 'host-enroll')
  await writeSecret(machine, options, made)
  return {
    schema: 'netlink.server.enroll-token.create/v1',
    fields: { token: made.token, file: options.out },
    text: `enrolment token for ${made.token.uses_left} ${made.token.uses_left === 1 ? 'host' : 'hosts'} written to ${options.out}\n${summary(made.token)}\n`,
  }
}

interface Made {
  readonly token: Token
  readonly secret: string
}

async function make(machine: Machine, options: CreateOptions, scope: TokenScope): Promise<Made> {
  const expiresAt =
    options.expires === undefined
      ? null
      : new Date(machine.clock.now().getTime() + parseDuration(options.expires, '--expires'))
  const uses = options.uses === undefined ? null : parseUses(options.uses)
  // Before the token is made: a secret that can't be written is a secret lost.
  if (options.out !== undefined) await checkFree(machine, options.out, 'force' in options && options.force === true)
  const { result } = await askLocal(machine, options.dir, 'token.create', {
    mutation: mutationOf(machine, options),
    name: options.name,
    scope,
    group: options.group ?? null,
    expires_at: expiresAt && wireTime(expiresAt),
    uses,
  })
  return result
}

function parseUses(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw usage(`--uses ${JSON.stringify(text)} can not be`, 'expected 1 to 1000000 hosts')
}

async function checkFree(machine: Machine, file: string, force: boolean): Promise<void> {
  const there = await machine.disk.lstat(file).catch((error) => {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  })
  if (!there || force) return
  throw new Failure({
    code: 'E-EXISTS',
    exit: EXIT.refused,
    title: `${file} is there already`,
    detail: 'a token is never written over another file',
    state: 'No token was made.',
    next: [`rm ${file}`],
  })
}

async function writeSecret(
  machine: Machine,
  options: { readonly out?: string; readonly force?: boolean },
  { secret }: Made,
): Promise<void> {
  if (options.out === undefined) return
  const bytes = Buffer.from(`${secret}\n`)
  if (options.force) await replaceFile(machine.disk, options.out, bytes, 0o600)
  else await createFileDurable(machine.disk, options.out, bytes, 0o600)
}

/** All tokens, without secrets. */
export async function listTokens(machine: Machine, options: SharedOptions): Promise<Answer> {
  const items: Token[] = []
  for (let cursor: string | null = null; ; ) {
    const { result }: { result: { items: Token[]; next_cursor: string | null } } = await askLocal(
      machine,
      options.dir,
      'token.list',
      { cursor },
    )
    items.push(...result.items)
    cursor = result.next_cursor
    if (cursor === null) break
  }
  const now = wireTime(machine.clock.now())
  const rows = items.map((token) => [
    token.id,
    token.name,
    token.scope,
    token.group ?? '',
    stateOf(token, now),
    token.uses_left === null ? '' : String(token.uses_left),
    token.last_used_at ?? 'never',
  ])
  const titles = ['ID', 'NAME', 'SCOPE', 'GROUP', 'STATE', 'USES LEFT', 'LAST USED'].map((title) => ({ title }))
  return {
    schema: 'netlink.server.token.list/v1',
    fields: { items },
    text: renderTable(titles, rows, { color: machine.color, width: machine.columns }),
  }
}

export async function revokeToken(machine: Machine, id: string, options: SharedOptions): Promise<Answer> {
  const { result: token } = await askLocal(machine, options.dir, 'token.revoke', {
    id,
    mutation: mutationOf(machine, options),
  })
  return { schema: 'netlink.server.token.revoke/v1', fields: { token }, text: `revoked ${summary(token)}\n` }
}

export async function rotateToken(
  machine: Machine,
  id: string,
  options: SharedOptions & { readonly out?: string },
): Promise<Answer> {
  if (options.out !== undefined) await checkFree(machine, options.out, false)
  const { result } = await askLocal(machine, options.dir, 'token.rotate', {
    id,
    mutation: mutationOf(machine, options),
  })
  await writeSecret(machine, options, result)
  const where =
    options.out === undefined ? `${result.secret}\nIt is shown this once.` : `secret written to ${options.out}`
  return {
    schema: 'netlink.server.token.rotate/v1',
    fields: {
      token: result.token,
      replaces: id,
      ...(options.out === undefined ? { secret: result.secret } : { file: options.out }),
    },
    text: `${where}\n${id} is worth nothing any more; ${summary(result.token)}\n`,
  }
}

function mutationOf(machine: Machine, options: SharedOptions) {
  return { user: machine.user.name, reason: options.reason ?? null }
}

function summary(token: Token): string {
  const group = token.group === null ? '' : `, group ${token.group}`
  return `token ${token.id} (${token.name}), scope ${token.scope}${group}, ${token.expires_at === null ? 'does not expire' : `expires ${token.expires_at}`}`
}

function stateOf(token: Token, now: string): string {
  if (token.revoked_at !== null) return 'revoked'
  if (token.expires_at !== null && token.expires_at <= now) return 'expired'
  return token.uses_left === 0 ? 'used up' : 'good'
}
