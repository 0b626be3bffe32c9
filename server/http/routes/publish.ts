import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { boundedStream } from '../bounded-stream.ts'
import { type HttpDeps, type HttpEnv, mutationOf } from '../context.ts'
import { HttpError } from '../http-error.ts'
import { BODY_PROBLEMS, json, jsonBody, problems, TOKEN_PROBLEMS } from '../operation.ts'
import * as shapes from '../shapes.ts'
import { tokenGuard } from '../token-auth.ts'

/** Longest request of signed documents: some hundred releases at once. */
const MAX_RELEASES_BYTES = 8 * 1_048_576

/** A publisher that sends nothing for so long is gone: others may want to go on with the same artifact. */
const STALL_MS = 30_000

/** The release engineer's side: state, root, artifacts, then the documents that make them a release. */
export function publishRoutes(deps: HttpDeps) {
  const { publication, clock } = deps.core
  const needs = { scopes: ['publish'], wholeFleet: true } as const
  const guard = tokenGuard(deps, needs)
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/publish/state',
        operationId: 'publishState',
        summary: 'What a publisher has to know before it signs',
        tags: ['publish'],
        ...guard,
        responses: { 200: json(shapes.publishState, 'The state'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => c.json(await publication.state(), 200),
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/publish/root',
        operationId: 'publishRoot',
        summary: 'Take the first root, or follow it along its chain',
        tags: ['publish'],
        ...tokenGuard(deps, { ...needs, body: MAX_RELEASES_BYTES }),
        request: jsonBody(shapes.publishRoot),
        responses: { 200: json(shapes.publishState, 'The state afterwards'), ...problems(...BODY_PROBLEMS, 409, 422) },
      }),
      async (c) => {
        const { reason, ...request } = c.req.valid('json')
        return c.json(await publication.acceptRoot(request, mutationOf(c, reason)), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/publish/artifacts/{sha256}',
        operationId: 'artifactState',
        summary: 'How much of an artifact is here',
        tags: ['publish'],
        ...guard,
        request: { params: shapes.artifactParam },
        responses: { 200: json(shapes.uploadState, 'Where the upload stands'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => c.json(await publication.uploadState(c.req.valid('param').sha256), 200),
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/publish/artifacts/{sha256}',
        operationId: 'appendArtifact',
        summary: 'Append a chunk to an artifact',
        description: 'A chunk that does not begin where the upload stands is refused with 409; `expected` says where.',
        tags: ['publish'],
        ...tokenGuard(deps, { ...needs, body: 'stream' }),
        request: {
          params: shapes.artifactParam,
          query: shapes.chunkRequest,
          body: { required: true, content: { 'application/octet-stream': { schema: shapes.octets } } },
        },
        responses: {
          200: json(shapes.uploadState, 'Where the upload stands now'),
          ...problems(...BODY_PROBLEMS, 409, 422, 507),
        },
      }),
      async (c) => {
        const { offset, length } = c.req.valid('query')
        requireOctets(c.req.header('content-type'))
        const body = boundedStream(c.req.raw.body, { maxBytes: length - offset, stallMs: STALL_MS, clock })
        const { sha256 } = c.req.valid('param')
        return c.json(await publication.appendUpload(sha256, { offset, length, body }, mutationOf(c, null)), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/publish/releases',
        operationId: 'publishReleases',
        summary: 'Publish signed documents: all of them or none',
        tags: ['publish'],
        ...tokenGuard(deps, { ...needs, body: MAX_RELEASES_BYTES }),
        request: jsonBody(shapes.publishReleases),
        responses: {
          200: json(shapes.publishAnswer, 'Published, or as it was already'),
          ...problems(...BODY_PROBLEMS, 409, 422, 507),
        },
      }),
      async (c) => {
        const request = c.req.valid('json')
        return c.json(await publication.acceptReleases(request, mutationOf(c, null, request.dry_run)), 200)
      },
    )
}

function requireOctets(contentType: string | undefined): void {
  if (contentType?.split(';')[0]?.trim().toLowerCase() === 'application/octet-stream') return
  throw new HttpError(
    'unsupported-media-type',
    `expected content-type application/octet-stream, came ${contentType ?? 'none'}`,
  )
}
