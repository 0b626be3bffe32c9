// Every refusal leaves as an RFC 9457 problem document. The only file that turns errors into statuses.
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { Problem } from '../../schema/rest.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { CoreError, type CoreErrorFacts } from '../core/core-error.ts'
import { isDatabaseGone } from '../core/database-gone.ts'
import { HttpError } from './http-error.ts'
import { type ProblemCode, problemKinds } from './problem-code.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** A refusal on its way out. `unexpected` is kept for the log; clients never see it. */
export interface Refusal {
  readonly code: ProblemCode
  readonly detail: string
  readonly facts: CoreErrorFacts
  readonly headers: Readonly<Record<string, string>>
  readonly unexpected?: unknown
}

/** What an error that reached the top means to the client. Whatever nobody foresaw is 'internal' and says nothing about itself. */
export function decideRefusal(error: unknown): Refusal {
  if (error instanceof HttpError) return refusal(error.code, error.message, error.facts, error.headers)
  if (error instanceof CoreError) return refusal(error.code, error.message, error.facts, headersOf(error.code))
  if (error instanceof ShapeError) return refusal('invalid', error.message, { issues: error.issues })
  if (error instanceof PlatformError) {
    const code = error.code === 'no-space' ? 'no-space' : 'unavailable'
    return { ...refusal(code, 'the storage does not answer as it should', {}, headersOf(code)), unexpected: error }
  }
  if (error instanceof HTTPException) return ofHono(error)
  if (isDatabaseGone(error)) {
    const told = refusal('unavailable', 'the database does not answer as it should', {}, headersOf('unavailable'))
    return { ...told, unexpected: error }
  }
  return { ...refusal('internal', 'the server failed unexpectedly; its log says more'), unexpected: error }
}

function refusal(
  code: ProblemCode,
  detail: string,
  facts: CoreErrorFacts = {},
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return { code, detail, facts, headers }
}

function headersOf(code: ProblemCode): Record<string, string> {
  if (code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="netlink"' }
  return code === 'unavailable' ? { 'retry-after': '5' } : {}
}

/** hono and its validators throw these for bodies that are no JSON and for content types that no route declares. */
function ofHono(error: HTTPException): Refusal {
  if (error.status === 415) {
    return refusal('unsupported-media-type', 'expected the content type that this address declares')
  }
  if (error.status === 413) return refusal('too-large', 'the body is too large')
  if (error.status < 500) return refusal('invalid', 'expected a body of well-formed JSON')
  return { ...refusal('internal', 'the server failed unexpectedly; its log says more'), unexpected: error }
}

/** The problem document of a refusal. */
export function problemOf(told: Refusal, requestId: string | undefined): Problem {
  const kind = problemKinds[told.code]
  const { issues, next, reason, expected, actual } = told.facts
  return {
    type: `/docs/errors/${told.code}`,
    title: kind.title,
    status: kind.status,
    code: told.code,
    detail: told.detail,
    ...(issues && { errors: issues.map(({ pointer, message }) => ({ pointer, detail: message })) }),
    ...(next && { next: [...next] }),
    ...(requestId && { request_id: requestId }),
    ...(reason !== undefined && { reason }),
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
  }
}

/** The answer to a refused request. */
export function problemAnswer(c: Context, told: Refusal): Response {
  const body = JSON.stringify(problemOf(told, c.get('requestId')))
  for (const [name, value] of Object.entries(told.headers)) c.header(name, value)
  c.header('content-type', PROBLEM_TYPE)
  c.header('cache-control', 'no-store')
  return c.body(body, problemKinds[told.code].status)
}
