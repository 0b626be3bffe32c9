import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { type HttpDeps, type HttpEnv, mutationOf } from '../context.ts'
import { needsHost } from '../host-auth.ts'
import { BODY_PROBLEMS, HOST_SCHEME, json, jsonBody, problems, TOKEN_PROBLEMS } from '../operation.ts'
import * as shapes from '../shapes.ts'
import { tokenGuard } from '../token-auth.ts'
import { findHost } from './hosts.ts'

/** What single hosts are directed to do: signed here with the director's key, obeyed there within the host's own policy. */
export function assignmentRoutes(deps: HttpDeps) {
  const { assignments } = deps.core
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/hosts/{host}/assignments',
        operationId: 'showAssignment',
        summary: 'What a host was assigned last',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['read', 'rollout'] }),
        request: { params: shapes.hostParam },
        responses: { 200: json(shapes.hostAssignment, 'The assignment'), ...problems(...TOKEN_PROBLEMS, 404, 409) },
      }),
      async (c) => {
        const { host_id } = await findHost(deps, c.req.valid('param').host, c.var.principal.group)
        return c.json(await assignments.show(host_id), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/hosts/{host}/assignments',
        operationId: 'assignHost',
        summary: 'Direct a host to a version; down only with an authorisation that was signed offline',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['rollout'] }),
        request: { params: shapes.hostParam, query: shapes.dryRunRequest, ...jsonBody(shapes.newAssignment) },
        responses: {
          200: json(shapes.hostAssignment, 'The assignment as it was signed'),
          ...problems(...BODY_PROBLEMS, 404, 409, 422),
        },
      }),
      async (c) => {
        const request = c.req.valid('json')
        const dryRun = c.req.valid('query').dry_run === 'true'
        const { host_id } = await findHost(deps, c.req.valid('param').host, c.var.principal.group)
        return c.json(await assignments.assign(host_id, request, mutationOf(c, request.reason, dryRun)), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/hosts/{host}/assignments',
        operationId: 'unassignHost',
        summary: 'Direct a host to nothing: it goes by its own policy again',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['rollout'] }),
        request: { params: shapes.hostParam, query: shapes.reasonRequest },
        responses: {
          200: json(shapes.hostAssignment, 'The assignment of nothing as it was signed'),
          ...problems(...TOKEN_PROBLEMS, 404, 409, 422),
        },
      }),
      async (c) => {
        const { reason, dry_run } = c.req.valid('query')
        const { host_id } = await findHost(deps, c.req.valid('param').host, c.var.principal.group)
        return c.json(await assignments.withdraw(host_id, mutationOf(c, reason ?? null, dry_run === 'true')), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/agent/assignment',
        operationId: 'ownAssignment',
        summary: 'What this host was assigned last, as it was signed',
        tags: ['agent'],
        security: [{ [HOST_SCHEME]: [] }],
        middleware: needsHost(deps),
        responses: {
          200: json(shapes.agentAssignment, 'The signed document, or null'),
          ...problems(400, 401, 408, 413, 429, 500, 503),
        },
      }),
      async (c) => {
        const { hostId } = c.var.host
        deps.core.presence.touch(hostId)
        return c.json({ document: await assignments.document(hostId) }, 200)
      },
    )
}
