import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { type HttpDeps, type HttpEnv, mutationOf } from '../context.ts'
import { BODY_PROBLEMS, json, jsonBody, problems, TOKEN_PROBLEMS } from '../operation.ts'
import { linked } from '../page.ts'
import * as shapes from '../shapes.ts'
import { tokenGuard } from '../token-auth.ts'

/** Longest proposal: documents, manifests and the list of some ten thousand files. */
const MAX_EVENT_BYTES = 12 * 1_048_576

/** Changes that people sign together, each on a machine of their own. */
export function signingEventRoutes(deps: HttpDeps) {
  const { signingEvents } = deps.core
  const needs = { scopes: ['publish'], wholeFleet: true } as const
  const guard = tokenGuard(deps, needs)
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/signing-events',
        operationId: 'listSigningEvents',
        summary: 'Signing events, newest first',
        tags: ['signing'],
        ...guard,
        request: { query: shapes.pageRequest },
        responses: { 200: json(shapes.page(shapes.eventSummary), 'A page of events'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => c.json(linked(c, await signingEvents.list(c.req.valid('query'))), 200),
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/signing-events',
        operationId: 'proposeSigningEvent',
        summary: 'Open a signing event',
        description: 'The same proposal again is no news. Signatures in it that do not verify are left out.',
        tags: ['signing'],
        ...tokenGuard(deps, { ...needs, body: MAX_EVENT_BYTES }),
        request: jsonBody(shapes.signingEvent),
        responses: { 200: json(shapes.eventSummary, 'How it stands'), ...problems(...BODY_PROBLEMS, 409, 422) },
      }),
      async (c) => c.json(await signingEvents.propose(c.req.valid('json'), mutationOf(c, null)), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/signing-events/{id}',
        operationId: 'showSigningEvent',
        summary: 'One signing event with its documents',
        tags: ['signing'],
        ...guard,
        request: { params: shapes.eventParam },
        responses: { 200: json(shapes.eventRecord, 'The event'), ...problems(...TOKEN_PROBLEMS, 404) },
      }),
      async (c) => c.json(await signingEvents.load(c.req.valid('param').id), 200),
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/signing-events/{id}/signatures',
        operationId: 'addEventSignatures',
        summary: 'Add signatures; those that do not verify are not kept',
        tags: ['signing'],
        ...guard,
        request: { params: shapes.eventParam, ...jsonBody(shapes.eventSignatures) },
        responses: {
          200: json(shapes.eventSignaturesAnswer, 'What was kept'),
          ...problems(...BODY_PROBLEMS, 404, 409, 422),
        },
      }),
      async (c) => {
        const { signatures } = c.req.valid('json')
        return c.json(await signingEvents.sign(c.req.valid('param').id, signatures, mutationOf(c, null)), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/signing-events/{id}/abort',
        operationId: 'abortSigningEvent',
        summary: 'Stop a signing event',
        tags: ['signing'],
        ...guard,
        request: { params: shapes.eventParam, ...jsonBody(shapes.abortEvent) },
        responses: { 200: json(shapes.eventSummary, 'How it stands'), ...problems(...BODY_PROBLEMS, 404, 409) },
      }),
      async (c) => {
        const { reason } = c.req.valid('json')
        return c.json(await signingEvents.abort(c.req.valid('param').id, reason, mutationOf(c, reason)), 200)
      },
    )
}
