// The signed repository as plain files under /repo/: metadata, targets, artifacts. Whoever reads it verifies it, so caches, CDNs and copies
// may stand in between. Content-addressed and versioned files never change; the rest (timestamp.json) has to be asked for each time, which
// costs one 304.
import { type Context, Hono } from 'hono'
import type { RepositoryFile } from '../../core/core.ts'
import { CoreError } from '../../core/core-error.ts'
import { decideRange, isKnown, rangeHolds } from '../byte-range.ts'
import { type HttpDeps, type HttpEnv, rawTarget } from '../context.ts'
import { HttpError } from '../http-error.ts'

const FOR_EVER = 'public, max-age=31536000, immutable'
const ASK_EACH_TIME = 'public, no-cache, stale-if-error=300'

export function repositoryRoutes(deps: HttpDeps) {
  const { repository } = deps.core
  return new Hono<HttpEnv>().get('/repo/*', async (c) => {
    const path = repositoryPath(rawTarget(c))
    const facts = await repository.stat(path)
    if (!facts) throw notFound(path)
    const etag = `"${facts.etag}"`
    if (isKnown(c.req.header('if-none-match'), etag)) return c.body(null, 304, cacheHeaders(facts))
    if (c.req.method === 'HEAD') return c.body(null, 200, headersOf(facts, facts.size))
    const range = rangeHolds(c.req.header('if-range'), etag)
      ? decideRange(c.req.header('range'), facts.size)
      : undefined
    if (range?.kind === 'unsatisfiable') throw unsatisfiable(facts.size)
    return send(c, path, facts, range?.kind === 'part' ? range : undefined)
  })
}

async function send(
  c: Context<HttpEnv>,
  path: string,
  facts: RepositoryFile,
  range: { readonly start: number; readonly end: number } | undefined,
): Promise<Response> {
  const file = await facts.open(range && { start: range.start, end: range.end })
  if (!file) throw notFound(path)
  const headers = headersOf({ ...facts, etag: file.etag }, file.length)
  if (!range) return c.body(file.body, 200, headers)
  const last = file.start + file.length - 1
  return c.body(file.body, 206, { ...headers, 'content-range': `bytes ${file.start}-${last}/${file.size}` })
}

function headersOf(facts: RepositoryFile, length: number): Record<string, string> {
  return {
    ...cacheHeaders(facts),
    'content-type': facts.contentType,
    'content-length': String(length),
    'accept-ranges': 'bytes',
  }
}

function cacheHeaders(facts: RepositoryFile): Record<string, string> {
  return { etag: `"${facts.etag}"`, 'cache-control': facts.immutable ? FOR_EVER : ASK_EACH_TIME }
}

/** The path below /repo/ as it was sent: core decodes it. What could mean another path to somebody in between was refused before (request-target.ts). */
function repositoryPath(target: string): string {
  return target.split('?')[0]?.slice('/repo/'.length) ?? ''
}

function notFound(path: string): CoreError {
  return new CoreError('not-found', `the repository has no file ${path}`)
}

function unsatisfiable(size: number): HttpError {
  return new HttpError(
    'range-not-satisfiable',
    `expected a range that begins before byte ${size}`,
    { expected: String(size) },
    { 'content-range': `bytes */${size}` },
  )
}
