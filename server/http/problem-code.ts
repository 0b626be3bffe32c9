import type { CoreErrorCode } from '../core/core-error.ts'

/** What the HTTP layer refuses by itself, before or instead of the core. */
export type HttpErrorCode =
  | 'method-not-allowed'
  | 'too-slow'
  | 'unsupported-media-type'
  | 'range-not-satisfiable'
  | 'upgrade-required'
  | 'rate-limited'
  | 'internal'

export type ProblemCode = CoreErrorCode | HttpErrorCode

export interface ProblemKind {
  readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 416 | 422 | 426 | 429 | 500 | 503 | 507
  /** The same words for every problem of this code (RFC 9457 3.1.3). */
  readonly title: string
  /** For the page that the problem's `type` leads to. */
  readonly explanation: string
}

/** Every code that an answer may carry: its status and what it means. A problem's `type` is `/docs/errors/<code>`. */
export const problemKinds: Readonly<Record<ProblemCode, ProblemKind>> = {
  invalid: {
    status: 400,
    title: 'The request cannot be read',
    explanation: 'A value is missing or malformed. `errors` names each place by a JSON pointer. Nothing was changed.',
  },
  unauthenticated: {
    status: 401,
    title: 'Not authenticated',
    explanation:
      'The token or host signature is missing, malformed, unknown, expired or revoked. Tokens go into the header `authorization: Bearer …`. ' +
      'A host signs with the key it enrolled with, and its clock may differ from the server by five minutes at most.',
  },
  forbidden: {
    status: 403,
    title: 'Not permitted',
    explanation:
      'The token is good but its scope or group does not cover this. `netlink-server token create --scope …` makes another.',
  },
  'not-found': { status: 404, title: 'Not found', explanation: 'There is nothing under this address.' },
  'method-not-allowed': {
    status: 405,
    title: 'Method not allowed',
    explanation: 'This address exists but not for this method. The header `allow` lists the methods it has.',
  },
  'too-slow': {
    status: 408,
    title: 'Too slow',
    explanation: 'Nothing more of the body came for too long. What came is kept: go on where the upload stands.',
  },
  conflict: {
    status: 409,
    title: 'The present state does not allow it',
    explanation: 'Somebody else was first, or what was asked for contradicts what is here. Read the state again.',
  },
  offset: {
    status: 409,
    title: 'The chunk does not continue the upload',
    explanation: '`expected` says at which byte the upload stands: go on from there.',
  },
  'too-large': {
    status: 413,
    title: 'Too large',
    explanation: 'The body is larger than this address takes. Nothing of it was kept.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'Unsupported media type',
    explanation:
      'The header `content-type` names a type that this address does not read. The API reads application/json.',
  },
  'range-not-satisfiable': {
    status: 416,
    title: 'Range not satisfiable',
    explanation: 'The range begins behind the end of the file. The header `content-range` says how long the file is.',
  },
  unverified: {
    status: 422,
    title: 'The documents do not verify',
    explanation:
      'A signature, hash, version or expiry is not what it has to be; `reason` says which. Agents would refuse the same documents.',
  },
  refused: {
    status: 422,
    title: 'Against the rules of this repository',
    explanation:
      'The documents verify, but publishing them would break a rule, such as an artifact that is not here yet.',
  },
  'upgrade-required': {
    status: 426,
    title: 'Upgrade required',
    explanation: 'This address speaks WebSocket (RFC 6455), for agents only.',
  },
  'rate-limited': {
    status: 429,
    title: 'Too many attempts',
    explanation:
      'Too many enrolments or failed authentications came from this address, or one host was told to look too often. ' +
      'The header `retry-after` says how many seconds to wait.',
  },
  internal: {
    status: 500,
    title: 'Unexpected failure',
    explanation: 'A defect of the server. Its log has the details under the same `request_id`.',
  },
  unavailable: {
    status: 503,
    title: 'Not available at the moment',
    explanation: 'The database or the storage does not answer, or the server is going down. Try again later.',
  },
  'no-space': { status: 507, title: 'No space left', explanation: 'The server has no room to store this.' },
}
