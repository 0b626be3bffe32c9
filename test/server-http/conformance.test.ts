// openapi.json is held to its word: every operation is called as it says, with good and with bad input, and may only answer what it declares.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tokenScopes } from '../../schema/rest.ts'
import { arbitraryOf, type Schema } from './openapi-arbitrary.ts'
import { HttpWorld, inventoryReport, type TestHost } from './world.ts'

interface Operation {
  readonly operationId: string
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: Schema
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>
}

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** Cases a property tries. SLOW=1 looks longer. */
const RUNS = process.env.SLOW ? 500 : 40

const world = await HttpWorld.create()
const document: Document = JSON.parse(await (await world.request('GET', '/api/v1/openapi.json')).text())
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    operation,
  })),
)
let host: TestHost

beforeAll(async () => {
  await world.publishRoot()
  await world.publishRelease('0a1')
  host = await world.enrol('web-1')
}, 60_000)
afterAll(() => world[Symbol.asyncDispose]())

describe('the document', () => {
  test('is OpenAPI 3.1 and lists the whole API', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(operations.map(({ operation }) => operation.operationId).sort()).toEqual([
      'abortSigningEvent',
      'addEventSignatures',
      'appendArtifact',
      'artifactState',
      'assignHost',
      'checkNow',
      'createToken',
      'enroll',
      'fleetSummary',
      'forgetHost',
      'hostHistory',
      'listAudit',
      'listChannels',
      'listHosts',
      'listReleases',
      'listSigningEvents',
      'listTokens',
      'ownAssignment',
      'proposeSigningEvent',
      'publishReleases',
      'publishRoot',
      'publishState',
      'releaseChangelog',
      'revokeToken',
      'sendReports',
      'setBrake',
      'showAssignment',
      'showHost',
      'showRelease',
      'showSigningEvent',
      'unassignHost',
    ])
  })

  test.each(operations)('$name says who may call it, and that it may refuse', ({ operation }) => {
    expect(Array.isArray(operation.security)).toBe(true)
    const refusals = Object.entries(operation.responses).filter(([status]) => status >= '400')
    expect(refusals.some(([status]) => status < '500')).toBe(true)
    for (const [, { content }] of refusals) expect(Object.keys(content ?? {})).toEqual(['application/problem+json'])
  })
})

const guarded = operations.filter(({ operation }) => operation.security.some((one) => 'token' in one))

describe('who may call', () => {
  test('most of it is guarded', () => {
    expect(guarded.length).toBeGreaterThan(15)
  })

  test.each(guarded)('$name without a token, or with one nobody gave out: 401', async (one) => {
    expect((await call(one, {})).status).toBe(401)
    const forged = `nlk_admin_${'0'.repeat(12)}_${'0'.repeat(64)}00000000`
    const answer = await call(one, { token: forged })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
    await conforms(one, answer)
  })

  test.each(guarded)('$name with every scope it does not list: 403', async (one) => {
    const listed = one.operation.security.flatMap((security) => security.token ?? [])
    expect(listed).toContain('admin')
    const others = tokenScopes.filter((scope) => !listed.includes(scope))
    for (const scope of others) {
      const answer = await call(one, { token: world.tokens[scope] })
      expect(answer.status, scope).toBe(403)
      await conforms(one, answer)
    }
  })

  test('reports without a signature: 401', async () => {
    const one = named('sendReports')
    const answer = await call(one, { body: JSON.stringify({ items: [] }) })
    expect(answer.status).toBe(401)
    await conforms(one, answer)
  })
})

test.each([...new Set(operations.map(({ path }) => path))])(
  '%s answers other methods with 405 and the ones it has',
  async (path) => {
    const has = Object.keys(document.paths[path] ?? {}).map((method) => method.toUpperCase())
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((one) => !has.includes(one))) {
      const answer = await world.request(method, fill(path, {}), { scope: 'admin' })
      expect(answer.status, method).toBe(405)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(
        answer.headers
          .get('allow')
          ?.split(', ')
          .filter((one) => one !== 'HEAD')
          .sort(),
      ).toEqual([...has].sort())
    }
  },
)

describe('whatever is sent', () => {
  test.each(operations)(
    '$name answers as it declares and never with 500',
    async (one) => {
      await fc.assert(
        fc.asyncProperty(requestsOf(one), async (request) => {
          // The operations after this one need the host again, and so does its own next case.
          if (one.operation.operationId === 'forgetHost') await enrolAgain()
          const answer = await call(one, request)
          expect(answer.status, JSON.stringify(request)).not.toBe(500)
          await conforms(one, answer)
        }),
        { numRuns: RUNS },
      )
    },
    120_000,
  )
  test('and the host that was forgotten on the way is back', enrolAgain)
})

/** The same key as before; nothing happens if it was not forgotten. */
async function enrolAgain(): Promise<void> {
  const body = host.enrollRequest(world.tokens['host-enroll'])
  const answer = await world.request('POST', '/api/v1/agent/enroll', { body })
  expect(answer.status).toBe(200)
}

interface Call {
  readonly token?: string | undefined
  readonly body?: string
  readonly contentType?: string
  readonly params?: Readonly<Record<string, string | undefined>>
  readonly query?: Readonly<Record<string, string | undefined>>
}

type Named = (typeof operations)[number]

function named(operationId: string): Named {
  const found = operations.find(({ operation }) => operation.operationId === operationId)
  if (!found) throw new Error(`there is no operation ${operationId}`)
  return found
}

async function call({ method, path, operation }: Named, request: Call): Promise<Response> {
  const given = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as [string, string]],
  )
  const query = new URLSearchParams(given)
  const target = fill(path, request.params ?? {}) + (query.size > 0 ? `?${query}` : '')
  const declared = Object.keys(operation.requestBody?.content ?? {})[0]
  const contentType = request.contentType ?? (request.body === undefined ? undefined : declared)
  const isSigned = operation.security.some((one) => 'hostSignature' in one) && request.token !== undefined
  const raw = new URL(target, 'http://localhost')
  return world.app.request(target, {
    method,
    headers: {
      ...(isSigned ? host.headers(method, raw.pathname + raw.search, request.body ?? '') : {}),
      ...(contentType ? { 'content-type': contentType } : {}),
      ...(request.token && !isSigned ? { authorization: `Bearer ${request.token}` } : {}),
    },
    ...(request.body === undefined ? {} : { body: request.body }),
  })
}

/** The path with its parameters: those given, else ones that exist. */
function fill(path: string, params: Readonly<Record<string, string | undefined>>): string {
  const known: Record<string, string> = { host: 'web-1', version: '0a1', id: 'ffffffffffff', sha256: 'ab'.repeat(32) }
  return path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    encodeURIComponent((params[name] ?? known[name] ?? 'x').toWellFormed()),
  )
}

/** The status is one that the operation declares, with the type of content that it declares. */
async function conforms({ operation, name }: Named, answer: Response): Promise<void> {
  const declared = operation.responses[answer.status]
  const text = await answer.text()
  expect(declared, `${name} answered ${answer.status}, which it does not declare: ${text}`).toBeDefined()
  const type = answer.headers.get('content-type')?.split(';')[0] ?? ''
  expect(Object.keys(declared?.content ?? {}), name).toContain(type)
  if (answer.status < 400) return
  const problem = JSON.parse(text)
  expect(problem).toMatchObject({ status: answer.status, code: expect.any(String), title: expect.any(String) })
}

/** Requests of somebody who may: sometimes right in every part, mostly wrong in some. */
function requestsOf({ operation }: Named): fc.Arbitrary<Call> {
  const parameters = (place: string) =>
    fc.record(
      Object.fromEntries(
        (operation.parameters ?? [])
          .filter((parameter) => parameter.in === place)
          .map((parameter) => [parameter.name, fc.oneof(textOf(parameter.schema), nastyText)]),
      ),
      { requiredKeys: [] },
    )
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
  const body =
    type === undefined || !content
      ? fc.constant(undefined)
      : type === 'application/json'
        ? fc.option(fc.oneof(bodyOf(content.schema), fc.json(), nastyText), { nil: undefined })
        : fc.option(nastyText, { nil: undefined })
  return fc
    .record({
      params: parameters('path'),
      query: parameters('query'),
      body,
      contentType: fc.oneof(
        { weight: 9, arbitrary: fc.constant(type) },
        { weight: 1, arbitrary: fc.constantFrom('text/plain', 'application/xml', 'application/json; charset=x') },
      ),
    })
    .map(({ params, query, body, contentType }) => ({
      token: world.tokens.admin,
      params: Object.fromEntries(
        Object.entries(params).filter(([, value]) => value !== '' && value !== '.' && value !== '..'),
      ),
      query,
      ...(body === undefined ? {} : { body }),
      ...(contentType === undefined || body === undefined ? {} : { contentType }),
    }))
}

function textOf(schema: Schema): fc.Arbitrary<string> {
  return arbitraryOf(schema, document.components.schemas).map(String)
}

function bodyOf(schema: Schema): fc.Arbitrary<string> {
  const good = arbitraryOf(schema, document.components.schemas)
  return fc.oneof(good, mutated(good)).map((value) => JSON.stringify(value))
}

/** One field gone, replaced by something of another kind, or one too many. */
function mutated(good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(good, fc.nat(), fc.oneof(fc.anything({ maxDepth: 2 }), nastyText), fc.constantFrom('drop', 'replace', 'add'))
    .map(([value, at, other, how]) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return other
      const names = Object.keys(value)
      const name = names[at % Math.max(1, names.length)] ?? 'x'
      const copy: Record<string, unknown> = { ...value }
      if (how === 'drop') delete copy[name]
      else copy[how === 'add' ? '__proto__x' : name] = jsonable(other)
      return copy
    })
}

function jsonable(value: unknown): unknown {
  return typeof value === 'bigint' || typeof value === 'function' ? String(value) : value
}

const nastyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1e9',
    '999999999999999',
    '9007199254740993',
    'NaN',
    'null',
    'true',
    '\u0000',
    '%00',
    "' or 1=1 --",
    '../../etc/passwd',
    '%2e%2e%2f',
    '{"__proto__":{}}',
    '['.repeat(2000),
    'WyIiXQ',
    Buffer.from('["\\u0000","x"]').toString('base64url'),
    Buffer.from('["x"]').toString('base64url'),
    Buffer.from('["99999999999999999999","y"]').toString('base64url'),
    Buffer.from('["2026-02-30T99:99:99.999Z","y"]').toString('base64url'),
    'version=0a1 and (',
    'last_seen<999999d',
    'label.x="\\',
    'not '.repeat(400),
    '\u{1f600}',
    '\ud800',
  ),
)

test('the walk above would notice: a report that is good is stored', async () => {
  const answer = await call(named('sendReports'), {
    token: 'signed',
    body: JSON.stringify({ items: await host.reports([inventoryReport(7)]) }),
  })
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject({ stored_seq: expect.any(Number) })
})
