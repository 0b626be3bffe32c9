import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { channels } from '../../../schema/version.ts'
import type { HttpDeps, HttpEnv } from '../context.ts'
import { json, problems, TOKEN_PROBLEMS } from '../operation.ts'
import { linked } from '../page.ts'
import * as shapes from '../shapes.ts'
import { tokenGuard } from '../token-auth.ts'

/** What is published. Told by the server and so not proof of anything: hosts read the signed repository. */
export function releaseRoutes(deps: HttpDeps) {
  const { releases } = deps.core
  const guard = tokenGuard(deps, { scopes: ['read', 'rollout', 'publish'] })
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/releases',
        operationId: 'listReleases',
        summary: 'Releases, greatest version first',
        tags: ['releases'],
        ...guard,
        request: { query: shapes.releasesRequest },
        responses: { 200: json(shapes.page(shapes.release), 'A page of releases'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => c.json(linked(c, await releases.list(c.req.valid('query'))), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/releases/{version}',
        operationId: 'showRelease',
        summary: 'One release with its changelog',
        tags: ['releases'],
        ...guard,
        request: { params: shapes.versionParam },
        responses: { 200: json(shapes.releaseDetail, 'The release'), ...problems(...TOKEN_PROBLEMS, 404) },
      }),
      async (c) => c.json(await releases.show(c.req.valid('param').version), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/releases/{version}/changelog',
        operationId: 'releaseChangelog',
        summary: 'The changelog of one release, as it was signed',
        tags: ['releases'],
        ...guard,
        request: { params: shapes.versionParam },
        responses: { 200: json(shapes.changelog, 'The changelog'), ...problems(...TOKEN_PROBLEMS, 404) },
      }),
      async (c) => c.json((await releases.show(c.req.valid('param').version)).changelog, 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/channels',
        operationId: 'listChannels',
        summary: 'The newest version of each channel',
        tags: ['releases'],
        ...guard,
        responses: { 200: json(shapes.channels, 'All channels'), ...problems(...TOKEN_PROBLEMS) },
      }),
      async (c) => {
        const items = channels.map(async (channel) => ({ channel, newest: await releases.newest(channel) }))
        return c.json({ items: await Promise.all(items) }, 200)
      },
    )
}
