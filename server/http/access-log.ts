import { createMiddleware } from 'hono/factory'
import { routePath } from 'hono/route'
import type { Core } from '../core/core.ts'
import type { HttpEnv } from './context.ts'

/**
 * One line a request once its answer is decided, with the route's pattern and never the query. Reads of the repository and health checks are
 * most of the traffic and say little: they are told at `debug`.
 */
export function accessLog(core: Pick<Core, 'clock' | 'log'>) {
  return createMiddleware<HttpEnv>(async function accessLog(c, next) {
    const started = core.clock.monotonicMs()
    await next()
    const { status } = c.res
    // Hosts ask for the next root until it is not there (TUF 5.3.3): a 404 is what they hope for.
    const isRead = /^\/(repo\/|livez$|readyz$)/.test(c.req.path)
    const quiet = isRead && (status < 400 || status === 404)
    core.log(status >= 500 ? 'error' : quiet ? 'debug' : 'info', 'http.request', {
      request_id: c.var.requestId,
      method: c.req.method,
      route: routePath(c, -1),
      path: c.req.path,
      status,
      ms: Math.round((core.clock.monotonicMs() - started) * 10) / 10,
      address: c.var.address,
      ...(c.var.actor !== undefined && { actor: c.var.actor }),
    })
  })
}
