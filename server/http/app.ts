// The server's HTTP side: one Hono app over one Core. It translates and decides nothing about releases or hosts.
//
//   /api/v1/…            REST (schema/rest.ts), documented by itself at /api/v1/openapi.json
//     agent              enrolment, reports over plain HTTP; the socket is in server/ws
//     publish            root, artifacts in chunks, signed documents
//     fleet hosts releases channels tokens audit
//   /repo/…              the signed repository, for agents, TUF clients, caches
//   /livez /readyz       for whoever runs it
//
// A request goes: target checked -> id, address, headers -> route -> who (token or host) -> what (scope) -> body, bounded -> shape -> core.
// Whatever refuses it on the way throws, and problem.ts turns that into an RFC 9457 document. An example session of an admin:
//
//   PUT /api/v1/fleet/brake   {"paused":true,"reason":"looking into it"}     200 {"paused":true,…}
//   GET /api/v1/hosts?where=version=0a5&limit=100                            200 {"items":[…],"next_cursor":null}
import { randomUUID } from 'node:crypto'
import { OpenAPIHono } from '@hono/zod-openapi'
import { methodNotAllowed } from 'hono/method-not-allowed'
import { requestId } from 'hono/request-id'
import { secureHeaders } from 'hono/secure-headers'
import type { Core } from '../core/core.ts'
import { clientAddress, type TrustedProxies } from '../ws/client-address.ts'
import { buildRateLimit } from '../ws/rate-limit.ts'
import { accessLog } from './access-log.ts'
import { type HttpDeps, type HttpEnv, rawTarget } from './context.ts'
import { HttpError } from './http-error.ts'
import { buildOpenApi } from './openapi.ts'
import { decideRefusal, problemAnswer } from './problem.ts'
import { findAmbiguity } from './request-target.ts'
import { agentRoutes } from './routes/agent.ts'
import { assignmentRoutes } from './routes/assignments.ts'
import { fleetRoutes } from './routes/fleet.ts'
import { hostRoutes } from './routes/hosts.ts'
import { publishRoutes } from './routes/publish.ts'
import { releaseRoutes } from './routes/releases.ts'
import { repositoryRoutes } from './routes/repository.ts'
import { rootRoutes } from './routes/root.ts'
import { signingEventRoutes } from './routes/signing-events.ts'
import { tokenRoutes } from './routes/tokens.ts'

export interface AppOptions {
  /** The program's version, for openapi.json. */
  readonly version: string
  readonly trustedProxies: TrustedProxies
  /** Enrolments from one address: so many at once, then so many a minute. */
  readonly enrolments?: { readonly burst: number; readonly perMinute: number }
  /** Hints to look now that go to one host. */
  readonly checks?: { readonly burst: number; readonly perMinute: number }
  /** Failed authentications from one address. */
  readonly failures?: { readonly burst: number; readonly perMinute: number }
}

/** A whole site may enrol from behind one address. */
const ENROLMENTS = { burst: 200, perMinute: 200 }
/** Enough for a person who presses again, and for a script that waits. */
const CHECKS = { burst: 3, perMinute: 6 }
const FAILURES = { burst: 30, perMinute: 30 }

/** The app over a started core. `app.fetch` answers; `app.request(path)` asks it without a socket. */
export function buildApp(core: Core, options: AppOptions): OpenAPIHono<HttpEnv> {
  const deps: HttpDeps = {
    core,
    trustedProxies: options.trustedProxies,
    enrolments: buildRateLimit({ clock: core.clock, ...(options.enrolments ?? ENROLMENTS) }),
    checks: buildRateLimit({ clock: core.clock, ...(options.checks ?? CHECKS) }),
    failures: buildRateLimit({ clock: core.clock, ...(options.failures ?? FAILURES) }),
  }
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: refuseMisshapen })
  useForAll(app, deps)
  app.route('/', rootRoutes(deps))
  app.route('/', repositoryRoutes(deps))
  for (const routes of [
    agentRoutes,
    publishRoutes,
    fleetRoutes,
    hostRoutes,
    assignmentRoutes,
    releaseRoutes,
    signingEventRoutes,
    tokenRoutes,
  ]) {
    app.route('/api/v1', routes(deps))
  }
  const openApi = buildOpenApi(app, options.version)
  app.get('/api/v1/openapi.json', (c) => c.body(openApi, 200, { 'content-type': 'application/json' }))
  return app
}

function useForAll(app: OpenAPIHono<HttpEnv>, deps: HttpDeps): void {
  const { core } = deps
  app.use(requestId({ limitLength: 64, generator: () => randomUUID() }))
  app.use(async (c, next) => {
    c.set('address', clientAddress(c.env?.incoming, deps.trustedProxies))
    await next()
  })
  app.use(accessLog(core))
  app.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      referrerPolicy: 'no-referrer',
      // TLS ends in a proxy: whether there is any is for it to say.
      strictTransportSecurity: false,
    }),
  )
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        const allow = methods.join(', ')
        const refused = new HttpError('method-not-allowed', `expected ${allow}, came ${c.req.method}`, {}, { allow })
        return problemAnswer(c, decideRefusal(refused))
      },
    }),
  )
  app.use(async (c, next) => {
    const expected = findAmbiguity(rawTarget(c))
    if (expected !== undefined) throw new HttpError('invalid', `expected ${expected}`)
    await next()
  })
  app.use('/api/*', async (c, next) => {
    await next()
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
  })
  app.notFound((c) => problemAnswer(c, decideRefusal(new HttpError('not-found', `there is nothing at ${c.req.path}`))))
  app.onError((error, c) => {
    const refusal = decideRefusal(error)
    if (refusal.unexpected !== undefined) {
      core.log('error', 'http.failed', {
        request_id: c.var.requestId,
        path: c.req.path,
        error: words(refusal.unexpected),
      })
    }
    return problemAnswer(c, refusal)
  })
}

interface Validation {
  readonly target: string
  readonly success: boolean
  readonly error?: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] }
}

/** What a validator found wrong, as a problem. The body is named by JSON pointers, the rest by where it stands. */
function refuseMisshapen(result: Validation): void {
  if (result.success) return
  const where = result.target === 'json' ? '' : `${result.target}: `
  const issues = (result.error?.issues ?? []).map(({ path, message }) => ({
    pointer: path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    message: where + message,
  }))
  const detail = issues.map(({ pointer, message }) => `${pointer || '/'} ${message}`).join('; ')
  throw new HttpError('invalid', detail.slice(0, 2000), { issues: issues.slice(0, 50) })
}

function words(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
