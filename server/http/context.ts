import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Core, KnownHost, Mutation, Principal } from '../core/core.ts'
import type { TrustedProxies } from '../ws/client-address.ts'
import type { RateLimit } from '../ws/rate-limit.ts'

/** What routes are built from. */
export interface HttpDeps {
  readonly core: Core
  readonly trustedProxies: TrustedProxies
  /** Enrolments, by address. */
  readonly enrolments: RateLimit
  /** Hints to look now, by host: each costs the host a look. */
  readonly checks: RateLimit
  /** Failed authentications, by address. */
  readonly failures: RateLimit
}

/** What every request carries. `Bindings` are empty under `app.request`. */
export interface HttpEnv {
  Bindings: Partial<HttpBindings>
  Variables: { requestId: string; address: string; actor: string | undefined }
}

/** Of routes that ask for a token. */
export interface TokenEnv extends HttpEnv {
  Variables: HttpEnv['Variables'] & { principal: Principal }
}

/** Of routes that only hosts may call. */
export interface HostEnv extends HttpEnv {
  Variables: HttpEnv['Variables'] & { host: KnownHost }
}

/** What every route can see of a request, whatever else its own context carries. */
export type Seen = Pick<Context<HttpEnv>, 'req' | 'env' | 'var'>

/** The path and query as they came over the wire. Frameworks normalise them; signatures and refusals are about what was sent. */
export function rawTarget(c: Seen): string {
  const raw = c.env?.incoming?.url
  if (raw !== undefined) return raw
  const url = c.req.url
  return url.slice(url.indexOf('/', url.indexOf('//') + 2))
}

/** Who does it and why, for the audit log. */
export function mutationOf(c: Pick<Context<TokenEnv>, 'var'>, reason: string | null, dryRun = false): Mutation {
  return { actor: c.var.principal.actor, reason, requestId: c.var.requestId, dryRun }
}
