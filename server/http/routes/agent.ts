import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { limitKey } from '../../ws/client-address.ts'
import { boundedJson, MAX_JSON_BYTES } from '../bounded-json.ts'
import type { HttpDeps, HttpEnv } from '../context.ts'
import { needsHost } from '../host-auth.ts'
import { HttpError } from '../http-error.ts'
import { HOST_SCHEME, json, jsonBody, PUBLIC, problems } from '../operation.ts'
import * as shapes from '../shapes.ts'
import { authenticated, refuseEarly } from '../token-auth.ts'

/** What agents say over plain HTTP: who they are, once, and their reports where a socket cannot be had. */
export function agentRoutes(deps: HttpDeps) {
  const { core } = deps
  const app = new OpenAPIHono<HttpEnv>()
  app.use('/agent/enroll', (c, next) => {
    refuseEarly(deps.enrolments.take(limitKey(c.var.address)))
    return next()
  })
  app.use('/agent/enroll', boundedJson(core.clock, MAX_JSON_BYTES))
  app.get('/agent/socket', () => {
    throw new HttpError('upgrade-required', 'expected a WebSocket handshake', {}, { upgrade: 'websocket' })
  })
  return app
    .openapi(
      createRoute({
        method: 'post',
        path: '/agent/enroll',
        operationId: 'enroll',
        summary: 'Redeem an enrolment token for a host key',
        tags: ['agent'],
        security: PUBLIC,
        request: jsonBody(shapes.enrollRequest),
        responses: {
          200: json(shapes.enrollAnswer, 'The host is enrolled, or was already with this key'),
          ...problems(400, 401, 403, 408, 409, 413, 415, 429, 500, 503),
        },
      }),
      async (c) => {
        const request = c.req.valid('json')
        return c.json(await authenticated(deps, c, () => core.enrolment.enroll(request, c.var.requestId)), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/agent/reports',
        operationId: 'sendReports',
        summary: 'Store reports of a host; the same number twice is harmless',
        tags: ['agent'],
        security: [{ [HOST_SCHEME]: [] }],
        middleware: needsHost(deps),
        request: jsonBody(shapes.reportsRequest),
        responses: {
          200: json(shapes.reportsAnswer, 'Everything up to `stored_seq` is stored'),
          ...problems(400, 401, 408, 413, 415, 422, 429, 500, 503),
        },
      }),
      async (c) => {
        const { host } = c.var
        core.presence.touch(host.hostId)
        const { storedSeq } = await core.reports.ingest(host, c.req.valid('json').items)
        const answer = {
          stored_seq: storedSeq,
          brake: core.fleet.brake(),
          timestamp_version: core.publication.published().timestampVersion,
        }
        return c.json(answer, 200)
      },
    )
}
