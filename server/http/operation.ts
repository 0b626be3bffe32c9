// What operations have in common in openapi.json and in code, so that the document cannot say less than the routes do.
import type { z } from '@hono/zod-openapi'
import { problem } from './shapes.ts'

/** Anybody may call it. */
export const PUBLIC: Record<string, string[]>[] = []
export const TOKEN_SCHEME = 'token'
export const HOST_SCHEME = 'hostSignature'

type ProblemStatus = 400 | 401 | 403 | 404 | 408 | 409 | 413 | 415 | 422 | 426 | 429 | 500 | 503 | 507

const words: Readonly<Record<ProblemStatus, string>> = {
  400: 'The request cannot be read',
  401: 'Not authenticated',
  403: 'Not permitted',
  404: 'Not found',
  408: 'Too slow',
  409: 'The present state does not allow it',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Documents that do not verify, or against the rules',
  426: 'Upgrade required',
  429: 'Too many attempts',
  500: 'Unexpected failure',
  503: 'Not available at the moment',
  507: 'No space left',
}

/** What can happen to every request with a token. */
export const TOKEN_PROBLEMS = [400, 401, 403, 429, 500, 503] as const
/** And to one with a JSON body besides. */
export const BODY_PROBLEMS = [...TOKEN_PROBLEMS, 408, 413, 415] as const

/** The problem documents that an operation may answer with. */
export function problems<const S extends ProblemStatus>(...statuses: S[]) {
  const answer = (status: S) => ({
    description: words[status],
    content: { 'application/problem+json': { schema: problem } },
  })
  return Object.fromEntries(statuses.map((status) => [status, answer(status)])) as Record<S, ReturnType<typeof answer>>
}

/** An answer of JSON. */
export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

/** A body of JSON that has to be there. */
export function jsonBody<T extends z.ZodType>(schema: T) {
  return { body: { required: true, content: { 'application/json': { schema } } } } as const
}
