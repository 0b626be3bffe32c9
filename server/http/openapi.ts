import type { OpenAPIHono } from '@hono/zod-openapi'
import { HOST_HEADERS } from '../../schema/protocol.ts'
import type { HttpEnv } from './context.ts'
import { HOST_SCHEME, TOKEN_SCHEME } from './operation.ts'

/** openapi.json, built from the routes themselves: what it lists is what runs. */
export function buildOpenApi(app: OpenAPIHono<HttpEnv>, version: string): string {
  app.openAPIRegistry.registerComponent('securitySchemes', TOKEN_SCHEME, {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'nlk_<scope>_<id>_<secret>',
    description: 'A token with one of the scopes that an operation lists.',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', HOST_SCHEME, {
    type: 'apiKey',
    in: 'header',
    name: HOST_HEADERS.signature,
    description:
      `Ed25519 of an enrolled host over method, path, time and body hash, with the headers ${HOST_HEADERS.host} and ${HOST_HEADERS.time}. ` +
      'See schema/protocol.ts.',
  })
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'NetLink Update',
      version,
      description:
        'Lists are `{items, next_cursor}`: pass `next_cursor` as `cursor` for the next page. Every refusal is an RFC 9457 problem document.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'fleet', description: 'All hosts at once' },
      { name: 'hosts', description: 'Single hosts' },
      { name: 'releases', description: 'What is published' },
      { name: 'publish', description: 'For `netlink-publish`' },
      { name: 'agent', description: 'For agents' },
      { name: 'tokens', description: 'Who may do what, and who did what' },
    ],
  })
  return JSON.stringify(document)
}
