import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { type HttpDeps, type HttpEnv, mutationOf } from '../context.ts'
import { BODY_PROBLEMS, json, jsonBody, problems, TOKEN_PROBLEMS } from '../operation.ts'
import { linked } from '../page.ts'
import * as shapes from '../shapes.ts'
import { tokenGuard } from '../token-auth.ts'

/** Who may do what, and who did what. */
export function tokenRoutes(deps: HttpDeps) {
  const { tokens, audit } = deps.core
  const guard = tokenGuard(deps, { scopes: [], wholeFleet: true })
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/tokens',
        operationId: 'listTokens',
        summary: 'Tokens without their secrets',
        tags: ['tokens'],
        ...guard,
        request: { query: shapes.pageRequest },
        responses: { 200: json(shapes.page(shapes.token), 'A page of tokens'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => c.json(linked(c, await tokens.list(c.req.valid('query'))), 200),
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/tokens',
        operationId: 'createToken',
        summary: 'Make a token',
        tags: ['tokens'],
        ...guard,
        request: { query: shapes.dryRunRequest, ...jsonBody(shapes.newToken) },
        responses: {
          201: json(shapes.createdToken, 'The token with its secret, which is shown this once'),
          ...problems(...BODY_PROBLEMS),
        },
      }),
      async (c) => {
        const { reason, expires_at, ...wanted } = c.req.valid('json')
        const dryRun = c.req.valid('query').dry_run === 'true'
        const expiresAt = expires_at === null ? null : new Date(expires_at)
        return c.json(await tokens.create({ ...wanted, expiresAt }, mutationOf(c, reason, dryRun)), 201)
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/tokens/{id}',
        operationId: 'revokeToken',
        summary: 'Revoke a token; it is worth nothing from now on',
        tags: ['tokens'],
        ...guard,
        request: { params: shapes.tokenParam, query: shapes.reasonRequest },
        responses: { 200: json(shapes.token, 'The token as it is now'), ...problems(...TOKEN_PROBLEMS, 404, 409) },
      }),
      async (c) => {
        const { reason, dry_run } = c.req.valid('query')
        const mutation = mutationOf(c, reason ?? null, dry_run === 'true')
        return c.json(await tokens.revoke(c.req.valid('param').id, mutation), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/audit',
        operationId: 'listAudit',
        summary: 'Who did what and why, newest first',
        tags: ['tokens'],
        ...guard,
        request: { query: shapes.auditRequest },
        responses: {
          200: json(shapes.page(shapes.auditEntry), 'A page of the audit log'),
          ...problems(...TOKEN_PROBLEMS),
        },
      }),
      async (c) => {
        const { since, ...wanted } = c.req.valid('query')
        const page = await audit.list({ ...wanted, since: since === undefined ? undefined : new Date(since) })
        return c.json(linked(c, page), 200)
      },
    )
}
