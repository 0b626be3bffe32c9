import { createMiddleware } from 'hono/factory'
import type { TokenScope } from '../../schema/rest.ts'
import type { Principal } from '../core/core.ts'
import { CoreError } from '../core/core-error.ts'
import { limitKey } from '../ws/client-address.ts'
import { boundedJson, MAX_JSON_BYTES } from './bounded-json.ts'
import type { HttpDeps, Seen, TokenEnv } from './context.ts'
import { HttpError } from './http-error.ts'
import { TOKEN_SCHEME } from './operation.ts'

export interface TokenNeeds {
  /** Scopes that may do this; `admin` always may. */
  readonly scopes: readonly TokenScope[]
  /** What a token bound to one group may not do because it concerns all of them. */
  readonly wholeFleet?: boolean
  /** `stream`: the route reads the body itself. Otherwise it is JSON of at most so many bytes. */
  readonly body?: 'stream' | number
}

/** The two parts of a route that go together: what openapi.json says and what is done. */
export function tokenGuard(deps: HttpDeps, needs: TokenNeeds) {
  return { security: [{ [TOKEN_SCHEME]: [...needs.scopes, 'admin'] }], middleware: needsToken(deps, needs) }
}

/** Lets a request through whose bearer token may do this. First who, then what, and only then is the body read. */
function needsToken(deps: HttpDeps, needs: TokenNeeds) {
  const readBody = needs.body === 'stream' ? undefined : boundedJson(deps.core.clock, needs.body ?? MAX_JSON_BYTES)
  return createMiddleware<TokenEnv>(async function tokenAuth(c, next) {
    const principal = await authenticated(deps, c, () => deps.core.tokens.authenticate(bearerOf(c)))
    c.set('principal', principal)
    c.set('actor', `token:${principal.actor.name}`)
    checkScope(principal, needs)
    return readBody ? readBody(c, next) : next()
  })
}

/** Runs an authentication. Who failed too often waits, whatever is shown next: the database is not asked again. */
export async function authenticated<T>(deps: HttpDeps, c: Seen, authenticate: () => Promise<T>): Promise<T> {
  const key = limitKey(c.var.address)
  refuseEarly(deps.failures.waitMs(key))
  try {
    return await authenticate()
  } catch (error) {
    if (error instanceof CoreError && error.code === 'unauthenticated') deps.failures.take(key)
    throw error
  }
}

/** 429 if there is anything to wait for. */
export function refuseEarly(waitMs: number, tooMany = 'too many attempts from this address'): void {
  if (waitMs <= 0) return
  const seconds = Math.ceil(waitMs / 1000)
  throw new HttpError(
    'rate-limited',
    `${tooMany}; the next one counts in ${seconds} s`,
    {},
    { 'retry-after': String(seconds) },
  )
}

function bearerOf(c: Seen): string {
  const header = c.req.header('authorization')
  const token = /^Bearer +([!-~]{1,256})$/i.exec(header ?? '')?.[1]
  if (token !== undefined) return token
  const came = header === undefined ? 'none came' : 'another kind came'
  throw new CoreError('unauthenticated', `expected the header "authorization: Bearer <token>", ${came}`)
}

function checkScope(principal: Principal, needs: TokenNeeds): void {
  if (principal.scope !== 'admin' && !needs.scopes.includes(principal.scope)) {
    const wanted = needs.scopes[0] ?? 'admin'
    throw new CoreError('forbidden', `expected a token of scope ${wanted}, this one has ${principal.scope}`, {
      expected: wanted,
      actual: principal.scope,
      next: [`netlink-server token create --scope ${wanted} --name NAME`],
    })
  }
  if (needs.wholeFleet && principal.group !== null) {
    throw new CoreError('forbidden', `expected a token for all hosts, this one is bound to group ${principal.group}`)
  }
}
