import { createHash } from 'node:crypto'
import { createMiddleware } from 'hono/factory'
import { HOST_HEADERS } from '../../schema/protocol.ts'
import { CoreError } from '../core/core-error.ts'
import { boundedJson, MAX_JSON_BYTES } from './bounded-json.ts'
import { type HostEnv, type HttpDeps, rawTarget } from './context.ts'
import { authenticated } from './token-auth.ts'

/**
 * Lets a request through that a known host signed: method, path with query, time and body (schema/protocol.ts). The body has to be read
 * before anybody is known, so it is bounded like everyone's.
 */
export function needsHost(deps: HttpDeps) {
  const readBody = boundedJson(deps.core.clock, MAX_JSON_BYTES)
  return createMiddleware<HostEnv>(function hostAuth(c, next) {
    return readBody(c, async () => {
      const body = c.req.raw.body ? new Uint8Array(await c.req.arrayBuffer()) : new Uint8Array()
      const signed = {
        hostId: c.req.header(HOST_HEADERS.host) ?? '',
        time: parseTime(c.req.header(HOST_HEADERS.time)),
        signature: c.req.header(HOST_HEADERS.signature) ?? '',
        method: c.req.method,
        path: rawTarget(c),
        bodySha256: createHash('sha256').update(body).digest('hex'),
      }
      c.set('host', await authenticated(deps, c, () => authenticate(deps, signed)))
      c.set('actor', `host:${signed.hostId}`)
      await next()
    })
  })
}

async function authenticate(deps: HttpDeps, signed: Parameters<HttpDeps['core']['hosts']['authenticateRequest']>[0]) {
  if (/^h_[0-9a-f]{32}$/.test(signed.hostId) && /^[0-9a-f]{128}$/.test(signed.signature)) {
    return deps.core.hosts.authenticateRequest(signed)
  }
  throw new CoreError(
    'unauthenticated',
    `expected the headers ${Object.values(HOST_HEADERS).join(', ')} as an enrolled host signs them`,
  )
}

/** Seconds since 1970. -1, which is never near now, for anything else. */
function parseTime(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1
}
