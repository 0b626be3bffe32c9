// What netlink-admin says when something is wrong: at the command line, at the server, or with whatever answers in its place.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HttpWorld } from '../server-http/world.ts'
import { hasProgram } from '../services/process.ts'
import type { Outcome } from '../world/programs.ts'
import { type AdminWorld, adminProcess, openAdminWorld } from './admin-world.ts'

const hasOpenssl = await hasProgram('openssl')

let opened: AdminWorld
let world: HttpWorld
let server: string
let tokenFile: string
/** Where nobody listens. */
let nobody: string

beforeAll(async () => {
  opened = await openAdminWorld()
  ;({ world, server, tokenFile, nobody } = opened)
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

const admin = (args: readonly string[], env: Record<string, string> = {}) => opened.admin(args, env)
const asked = (...args: string[]) => opened.asked(...args)

describe('what goes wrong is told in four parts, with its own exit status', () => {
  test.each<[string, () => Promise<Outcome>, number, RegExp]>([
    ['a command that does not exist', () => asked('fleat'), 2, /unknown command 'fleat'[\s\S]*did you mean fleet\?/],
    ['an option that does not exist', () => asked('hosts', 'list', '--wher', 'x'), 2, /did you mean --where\?/],
    ['a limit that is none', () => asked('hosts', 'list', '--limit', '9999'), 2, /expected 1 to 500/],
    [
      'a way of counting that does not exist',
      () => asked('fleet', 'status', '--by', 'colour'),
      2,
      /expected one of version, channel, group, state/,
    ],
    [
      'a filter that cannot be read',
      () => asked('hosts', 'list', '--where', 'version=='),
      2,
      /character 9: expected a value/,
    ],
    ['a host that is not there', () => asked('hosts', 'show', 'nobody'), 2, /there is none called nobody/],
    [
      'forgetting a host that is not there',
      () => asked('hosts', 'forget', 'nobody'),
      2,
      /E-NOT-FOUND[\s\S]*Next: netlink-admin hosts list/,
    ],
    ['a release that is not there', () => asked('releases', 'show', '9r9'), 2, /there is no release 9r9/],
    [
      'a format that does not exist',
      () => asked('releases', 'changelog', '0r2', '--format', 'pdf'),
      2,
      /expected one of text, markdown, json/,
    ],
    [
      'a method that does not exist',
      () => asked('api', 'BREW', '/coffee'),
      2,
      /expected one of GET, POST, PUT, DELETE/,
    ],
    ['a path that is none', () => asked('api', 'GET', '//evil.example/x'), 2, /is not a path/],
    [
      'no server',
      () => admin(['fleet', 'status', '--token-file', tokenFile]),
      2,
      /expected --server URL or NETLINK_SERVER/,
    ],
    [
      'a server that is no address',
      () => admin(['fleet', 'status', '--server', 'updates', '--token-file', tokenFile]),
      2,
      /is not the address of a server/,
    ],
    [
      'a password in the address',
      () => admin(['fleet', 'status', '--server', 'https://me:secret@x.example', '--token-file', tokenFile]),
      2,
      /holds a password/,
    ],
    [
      'plain http to another machine',
      () => admin(['fleet', 'status', '--server', 'http://updates.example.com', '--token-file', tokenFile]),
      2,
      /would show the token to everybody[\s\S]*--insecure-http/,
    ],
    [
      'no token',
      () => admin(['fleet', 'status', '--server', server]),
      2,
      /expected --token-file FILE or NETLINK_TOKEN/,
    ],
    [
      'a token file that is not there',
      () => admin(['fleet', 'status', '--server', server, '--token-file', '/nowhere']),
      2,
      /ENOENT/,
    ],
    [
      'an empty token file',
      () => admin(['fleet', 'status', '--server', server, '--token-file', '/dev/null']),
      2,
      /holds no token/,
    ],
    [
      'a token that nobody gave out',
      () => admin(['fleet', 'status', '--server', server], { NETLINK_TOKEN: 'nlk_wrong' }),
      5,
      /E-UNAUTHENTICATED/,
    ],
    [
      'a token that may not',
      () => admin(['pause', '--reason', 'x', '--server', server], { NETLINK_TOKEN: world.tokens.read }),
      5,
      /expected a token of scope rollout, this one has read/,
    ],
    [
      'nobody there',
      () => admin(['fleet', 'status', '--server', nobody], { NETLINK_TOKEN: 'x' }),
      6,
      /can’t be reached[\s\S]*ECONNREFUSED/,
    ],
  ])('%s', async (_, run, exit, words) => {
    const { status, stdout, stderr } = await run()
    expect(status, stderr).toBe(exit)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^error E-[A-Z-]+: /)
    expect(stderr).toMatch(words)
    expect(stderr).toMatch(/Nothing was|may have been done/)
    expect(stderr).toContain(`(exit ${exit})`)
    for (const token of Object.values(world.tokens)) expect(stderr).not.toContain(token)
  })

  test('with --json it is one document on stdout', async () => {
    const { status, stdout, stderr } = await asked('hosts', 'show', 'nobody', '--json')
    expect({ status, stderr }).toEqual({ status: 2, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'E-NOT-FOUND', next: expect.any(Array) } })
    expect(JSON.parse((await admin(['fleat', '--json'])).stdout)).toMatchObject({
      ok: false,
      error: { code: 'E-USAGE' },
    })
  })

  test('a token that others can read is used and warned about', async () => {
    const shared = join(world.folder, 'shared.token')
    await writeFile(shared, world.tokens.read)
    await chmod(shared, 0o644)
    const { status, stderr } = await admin(['fleet', 'status', '--server', server, '--token-file', shared])
    expect(status).toBe(0)
    expect(stderr).toBe(`warning: ${shared} can be read by others; chmod 600 ${shared}\n`)
  })

  test.each<[string, number, Record<string, string>, string, RegExp]>([
    [
      'sends the program elsewhere',
      302,
      { location: 'http://127.0.0.1:1/steal' },
      '',
      /wanted to send this program to http:\/\/127\.0\.0\.1:1\/steal/,
    ],
    ['is a web page', 200, { 'content-type': 'text/html' }, '<html>', /is not what this version expects/],
    ['fails without a word', 502, {}, 'bad gateway', /status 502 and no explanation/],
    ['talks without end', 200, {}, ' '.repeat(33 * 1_048_576), /longer than/],
  ])('something else that answers there and %s', async (_, status, headers, body, words) => {
    // given
    const seen: string[] = []
    const other = createServer((request, answer) => {
      seen.push(request.url ?? '')
      answer.writeHead(status, headers).end(body)
    }).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo

    // when
    const outcome = await admin(['fleet', 'status', '--server', `http://127.0.0.1:${port}`], {
      NETLINK_TOKEN: 'nlk_secret',
    })

    // then
    expect(outcome.status).toBe(6)
    expect(outcome.stderr).toMatch(words)
    expect(seen).toEqual(['/api/v1/fleet/summary'])
    other.close()
  })

  test.skipIf(!hasOpenssl)(
    'over TLS with an authority of one’s own: refused without --ca, answered with it',
    async () => {
      // given
      const key = join(world.folder, 'key.pem')
      const cert = join(world.folder, 'cert.pem')
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
      await promisify(execFile)('openssl', [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        ...subject,
        '-keyout',
        key,
        '-out',
        cert,
      ])
      const secure = await world.listen({
        tls: { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') },
      })
      expect(secure.url).toMatch(/^https:/)

      // when
      const without = await adminProcess(['fleet', 'status', '--server', secure.url, '--token-file', tokenFile])
      const withCa = await adminProcess([
        'fleet',
        'status',
        '--server',
        secure.url,
        '--token-file',
        tokenFile,
        '--ca',
        cert,
      ])

      // then
      expect(without.status).toBe(6)
      expect(without.stderr).toMatch(/self-signed certificate/)
      expect(withCa.status, withCa.stderr).toBe(0)
    },
  )
})

describe('an authorisation to go down', () => {
  const pin = async (content: string) => {
    const file = join(world.folder, 'down.json')
    await writeFile(file, content)
    return { file, ...(await asked('hosts', 'pin', 'web-2', '--to', '0a1', '--authorization', file)) }
  }

  test.each([
    ['{"name":"dave"}', 'no signed document'],
    ['not json', 'no signed document'],
    ['{"signed":{"_type":"root"}}', 'a signed document of the type "root"'],
  ])('of which the file says %s is refused by its name, and the server is not asked', async (content, found) => {
    const { status, stderr, file } = await pin(content)
    expect(status, stderr).toBe(2)
    expect(stderr).toContain(`E-USAGE: --authorization ${file} is no authorisation to go down`)
    expect(stderr).toContain(`expected the file that netlink-publish authorize-downgrade wrote, found ${found}`)
    expect(stderr).toContain('Next: netlink-publish authorize-downgrade --help')
  })

  test('of the right kind is the server’s to verify', async () => {
    const { status, stderr } = await pin('{"signatures":[],"signed":{"_type":"downgrade-authorization"}}')
    expect(status, stderr).not.toBe(0)
    expect(stderr).not.toContain('E-USAGE')
  })
})
