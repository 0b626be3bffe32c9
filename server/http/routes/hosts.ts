import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { type Host, hostIdShape } from '../../../schema/rest.ts'
import { CoreError } from '../../core/core-error.ts'
import { type HttpDeps, type HttpEnv, mutationOf } from '../context.ts'
import { json, problems, TOKEN_PROBLEMS } from '../operation.ts'
import { linked } from '../page.ts'
import * as shapes from '../shapes.ts'
import { refuseEarly, tokenGuard } from '../token-auth.ts'

/** Single hosts: who they are, what runs on them, what happened to them. A token bound to a group sees its hosts only. */
export function hostRoutes(deps: HttpDeps) {
  const { hosts } = deps.core
  return new OpenAPIHono<HttpEnv>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/hosts',
        operationId: 'listHosts',
        summary: 'Hosts, filtered and in pages',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['read', 'rollout'] }),
        request: { query: shapes.hostsRequest },
        responses: {
          200: json(shapes.page(shapes.host), 'A page of hosts'),
          ...problems(...TOKEN_PROBLEMS),
        },
      }),
      async (c) => {
        const page = await hosts.list({ ...c.req.valid('query'), group: c.var.principal.group })
        return c.json(linked(c, page), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/hosts/{host}',
        operationId: 'showHost',
        summary: 'One host, by id or name',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['read', 'rollout'] }),
        request: { params: shapes.hostParam },
        responses: { 200: json(shapes.host, 'The host'), ...problems(...TOKEN_PROBLEMS, 404, 409) },
      }),
      async (c) => c.json(await findHost(deps, c.req.valid('param').host, c.var.principal.group), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/hosts/{host}/history',
        operationId: 'hostHistory',
        summary: 'What a host reported, newest first',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['read', 'rollout'] }),
        request: { params: shapes.hostParam, query: shapes.pageRequest },
        responses: {
          200: json(shapes.page(shapes.hostEvent), 'A page of reports'),
          ...problems(...TOKEN_PROBLEMS, 404, 409),
        },
      }),
      async (c) => {
        const host = await findHost(deps, c.req.valid('param').host, c.var.principal.group)
        return c.json(linked(c, await hosts.history(host.host_id, c.req.valid('query'))), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/hosts/{host}/check-now',
        operationId: 'checkNow',
        summary: 'Ask a host to look for releases now',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['rollout'] }),
        request: { params: shapes.hostParam, query: shapes.reasonRequest },
        responses: {
          202: json(shapes.checkNowAnswer, 'The host is told if it is online'),
          ...problems(...TOKEN_PROBLEMS, 404, 409),
        },
      }),
      async (c) => {
        const { reason, dry_run } = c.req.valid('query')
        const { host_id, name, online } = await findHost(deps, c.req.valid('param').host, c.var.principal.group)
        const waitMs = dry_run === 'true' ? deps.checks.waitMs(host_id) : deps.checks.take(host_id)
        refuseEarly(waitMs, `${name} was told to look often enough`)
        await hosts.checkNow(host_id, mutationOf(c, reason ?? null, dry_run === 'true'))
        return c.json({ host_id, name, online }, 202)
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/hosts/{host}',
        operationId: 'forgetHost',
        summary: 'Forget a host and delete all that it reported; its key is worth nothing until it enrols again',
        tags: ['hosts'],
        ...tokenGuard(deps, { scopes: ['rollout'] }),
        request: { params: shapes.hostParam, query: shapes.reasonRequest },
        responses: { 200: json(shapes.host, 'The host as it was'), ...problems(...TOKEN_PROBLEMS, 404, 409) },
      }),
      async (c) => {
        const { reason, dry_run } = c.req.valid('query')
        const host = await findHost(deps, c.req.valid('param').host, c.var.principal.group)
        await hosts.forget(host.host_id, mutationOf(c, reason ?? null, dry_run === 'true'))
        return c.json(host, 200)
      },
    )
}

/** The host of this id or name. Names are given by hosts themselves: where two have the same, only an id will do ('conflict'). */
export async function findHost(deps: HttpDeps, idOrName: string, group: string | null): Promise<Host> {
  const { hosts } = deps.core
  if (hostIdShape.safeParse(idOrName).success) return hosts.show(idOrName, group)
  const { items } = await hosts.list({ where: `name=${idOrName}`, limit: 2, group })
  const [first, second] = items
  if (!first) throw new CoreError('not-found', `expected the id or name of a host, there is none called ${idOrName}`)
  if (!second) return first
  throw new CoreError('conflict', `more than one host is called ${idOrName}; expected an id`, {
    reason: 'ambiguous',
    next: items.map((one) => `netlink-admin hosts show ${one.host_id}`),
  })
}
