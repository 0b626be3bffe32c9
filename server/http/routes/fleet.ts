import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { type HttpDeps, type HttpEnv, mutationOf } from '../context.ts'
import { BODY_PROBLEMS, json, jsonBody, problems, TOKEN_PROBLEMS } from '../operation.ts'
import * as shapes from '../shapes.ts'
import { tokenGuard } from '../token-auth.ts'

/** The whole fleet: its counts and its brake. */
export function fleetRoutes(deps: HttpDeps) {
  const { fleet } = deps.core
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/fleet/summary',
        operationId: 'fleetSummary',
        summary: 'How many hosts run what, and why the others wait',
        tags: ['fleet'],
        ...tokenGuard(deps, { scopes: ['read', 'rollout'], wholeFleet: true }),
        responses: { 200: json(shapes.fleetSummary, 'Counts, exact at this moment'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => c.json(await fleet.summary(), 200),
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/fleet/brake',
        operationId: 'setBrake',
        summary: 'Pause or resume automatic updates of the whole fleet',
        tags: ['fleet'],
        ...tokenGuard(deps, { scopes: ['rollout'], wholeFleet: true }),
        request: { query: shapes.dryRunRequest, ...jsonBody(shapes.brakeRequest) },
        responses: { 200: json(shapes.brake, 'The brake as it is now'), ...problems(...BODY_PROBLEMS) },
      }),
      async (c) => {
        const { paused, reason } = c.req.valid('json')
        const dryRun = c.req.valid('query').dry_run === 'true'
        return c.json(await fleet.setBrake(paused, { ...mutationOf(c, reason, dryRun), reason }), 200)
      },
    )
}
