import { Hono } from 'hono'
import type { Core, Readiness } from '../../core/core.ts'
import type { HttpDeps, HttpEnv } from '../context.ts'
import { problemKinds } from '../problem-code.ts'

const UNCACHED = { 'cache-control': 'no-store' }

/** What the machines around the server ask, and what a person sees who types its address or follows a problem's `type`. */
export function rootRoutes(deps: HttpDeps) {
  const { core } = deps
  const askReadiness = buildReadinessCheck(core)
  return new Hono<HttpEnv>()
    .get('/', (c) => c.text(index(core), 200, UNCACHED))
    .get('/livez', (c) => c.text('ok\n', 200, UNCACHED))
    .get('/readyz', async (c) => {
      const readiness = await askReadiness()
      const status = readiness.ready ? 200 : 503
      if (c.req.query('verbose') !== undefined) return c.json(readiness, status, UNCACHED)
      return c.text(`${readinessWords(readiness)}\n`, status, UNCACHED)
    })
    .get('/docs/errors', (c) => c.text(allErrors()))
    .get('/docs/errors/:code', (c) => {
      const page = errorPage(c.req.param('code'))
      return page === undefined ? c.notFound() : c.text(page)
    })
}

/** Anybody may ask, as often as they like: the database is asked once for all who wait, and why something is not well is for the log. */
function buildReadinessCheck(core: Core): () => Promise<Readiness> {
  let asking: Promise<Readiness> | undefined
  let wasReady = true
  const ask = async () => {
    const readiness = await core.readiness()
    if (wasReady && !readiness.ready) core.log('warn', 'server.not_ready', { ...readiness })
    wasReady = readiness.ready
    const checks = readiness.checks.map((check) => ({
      ...check,
      detail: check.ok ? null : 'the server’s log says why',
    }))
    return { ...readiness, checks }
  }
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return asking
  }
}

function index(core: Core): string {
  const { product, rootVersion, timestampVersion } = core.publication.published()
  const published = product === null ? 'nothing is published yet' : `product ${product}`
  return `NetLink Update: ${published} (root version ${rootVersion}, timestamp version ${timestampVersion})

  /repo/metadata/            the signed TUF repository
  /repo/targets/             manifests
  /repo/artifacts/<sha256>   what they name
  /api/v1/openapi.json       the REST API
  /readyz?verbose            whether this server is ready
  /docs/errors               what its refusals mean
`
}

function readinessWords(readiness: Readiness): string {
  if (readiness.ready) return 'ready'
  const failing = readiness.checks.filter((check) => !check.ok).map((check) => check.name)
  return `not ready: ${[...(readiness.draining ? ['going down'] : []), ...failing].join(', ')}`
}

function allErrors(): string {
  return Object.keys(problemKinds)
    .flatMap((code) => errorPage(code) ?? [])
    .join('\n')
}

function errorPage(code: string): string | undefined {
  const [, kind] = Object.entries(problemKinds).find(([name]) => name === code) ?? []
  return kind && `${code} (${kind.status}): ${kind.title}\n\n${kind.explanation}\n`
}
