import { chmod, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { agentFilesOf } from '../../agent/config.ts'
import { loadIdentity } from '../../agent/daemon/identity.ts'
import { buildPaths } from '../../agent/paths.ts'
import { createNodeDisk } from '../../keys/platform/disk.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { makeCertificate, serve } from '../platform/servers.ts'
import { SimRepository } from '../sim/repository.ts'
import { type AgentWorld, buildAgentWorld } from './agent-world.ts'

let world: AgentWorld
beforeEach(async () => {
  world = await buildAgentWorld()
})
afterEach(() => world.close())

/** The same server behind a certificate of its own authority, which lies in `ca.pem`. */
async function serveSecurely() {
  const certificate = makeCertificate()
  await writeFile(join(world.folder, 'ca.pem'), certificate.cert)
  const front = await serve((incoming, response) => {
    const { method, url, headers } = incoming
    const onward = request(`${world.address}${url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(onward)
  }, certificate)
  onTestFinished(() => front.close())
  return { certificate, front }
}

const isShown = () => world.requests.some((request) => request.includes('/agent/enroll'))

describe('netlink agent enroll', () => {
  test('pins the root, makes a key that nobody else may read, and says what comes next', async () => {
    const { status, stdout } = await world.enrol()
    expect(status).toBe(0)
    expect(stdout).toMatch(/^enrolled web-03 \(h_[0-9a-f]{32}\) for demo, channel alpha\nNext: netlink agent run\n$/)
    expect((await stat(join(world.home, 'state', 'host.key'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(world.home, 'state'))).mode & 0o777).toBe(0o700)
    expect(await readFile(join(world.home, 'state', 'trust', 'root.json'))).toEqual(
      Buffer.from(world.repo.file('1.root.json')),
    )
  })

  test('takes a fingerprint instead of a file, and refuses another root before it shows the token', async () => {
    const sha256 = fingerprintOf(world.repo.file('1.root.json'))
    const wrong = await world.enrol('--trust-root', 'ab'.repeat(32))
    expect(wrong.status, wrong.stderr).toBe(7)
    expect(isShown()).toBe(false)
    const short = await world.enrol('--trust-root', `sha256:${sha256.slice(1)}`)
    expect([short.status, short.stderr]).toEqual([2, expect.stringContaining('expected 64 hexadecimal digits')])
    expect((await world.enrol('--trust-root', `sha256:${sha256}`)).status).toBe(0)
    expect((await world.enrol('--force', '--trust-root', sha256)).status).toBe(0)
  })

  test.each([
    ['host.key', 0o640, 'chmod 600'],
    ['agent.json', 0o604, 'chmod 600'],
    ['.', 0o770, 'chmod go-w'],
    ['trust', 0o702, 'chmod go-w'],
  ])('%s with mode %o is refused with the way out, and good again after it', async (name, mode, next) => {
    await world.enrol()
    const path = join(world.home, 'state', name)
    const before = (await stat(path)).mode & 0o777
    await chmod(path, mode)
    const refused = await world.run('update', 'status')
    expect([refused.status, refused.stderr]).toEqual([5, expect.stringContaining(`${next} ${path}`)])
    await chmod(path, before)
    expect((await world.run('update', 'status')).status).toBe(0)
  })

  test('a key behind a symlink is refused', async () => {
    await world.enrol()
    const key = join(world.home, 'state', 'host.key')
    await rename(key, join(world.folder, 'elsewhere'))
    await symlink(join(world.folder, 'elsewhere'), key)
    const refused = await world.run('update', 'status')
    expect([refused.status, refused.stderr]).toEqual([5, expect.stringContaining('symlink')])
  })

  test('a root that is not the repository’s: exit 7, and the token was never shown', async () => {
    const other = await SimRepository.create({ product: 'demo', now: new Date() })
    other.rotateKeys('timestamp')
    await writeFile(join(world.folder, 'other.json'), await other.sign(other.role('root'), other.signersOf('root')))
    const refused = await world.enrol('--trust-root', 'other.json')
    expect(refused.status, refused.stderr).toBe(7)
    expect(refused.stderr).toMatch(/^error E-/)
    expect(isShown()).toBe(false)
    expect((await world.enrol()).status).toBe(0)
  })

  test('a wrong token: exit 5, not enrolled; the same command with the right one goes on', async () => {
    await writeFile(join(world.folder, 'wrong'), 'nlk_host-enroll_abc_other\n')
    const refused = await world.enrol('--token-file', 'wrong')
    expect(refused.status, refused.stderr).toBe(5)
    expect((await world.run('agent', 'status')).status).toBe(2)
    const key = await readFile(join(world.home, 'state', 'host.key'), 'utf8')
    expect((await world.enrol()).status).toBe(0)
    expect(await readFile(join(world.home, 'state', 'host.key'), 'utf8')).toBe(key)
  })

  test('an enrolled host stays as it is unless --force is said', async () => {
    await world.enrol()
    const again = await world.enrol('--channel', 'release')
    expect(again.status).toBe(3)
    expect(again.stderr).toContain('E-ENROLLED')
    expect((await world.enrol('--channel', 'release', '--force')).status).toBe(0)
    expect(JSON.parse((await world.run('agent', 'status', '--json')).stdout).channel).toBe('release')
  })

  test.each([
    ['plain http to another machine', ['--server', 'http://update.example:8400'], /--insecure-http/],
    ['no address', ['--server', 'update.example'], /--server/],
    ['a password in the address', ['--server', 'https://a:b@update.example'], /password/],
    ['a token file that is not there', ['--token-file', 'nowhere'], /nowhere/],
    ['a channel that is none', ['--channel', 'nightly'], /channel/],
    ['a label without value', ['--label', 'eu'], /key=value/],
    ['a service control that is none', ['--service-control', 'docker'], /exec, systemd or none/],
  ])('%s: exit 2, and nobody was asked', async (_words, args, expected) => {
    const { status, stderr } = await world.enrol(...args)
    expect(status, stderr).toBe(2)
    expect(stderr).toMatch(expected)
    expect(world.requests).toEqual([])
  })

  test('a certificate authority is kept with the enrolment that needs it, and goes with it', async () => {
    const { certificate, front } = await serveSecurely()
    const stored = async () => JSON.parse(await readFile(join(world.home, 'state', 'agent.json'), 'utf8')).ca

    expect((await world.enrol('--server', front.url)).status).toBe(6)
    expect((await world.enrol('--server', front.url, '--ca', 'ca.pem')).status).toBe(0)
    expect(await stored()).toBe(certificate.cert)
    expect((await world.run('update', 'check')).status).toBe(0)
    await world.enrol('--force')
    expect(await stored()).toBe(null)
    expect((await world.run('update', 'check')).status).toBe(0)

    await writeFile(join(world.folder, 'large.pem'), certificate.cert.repeat(300))
    const refused = await world.enrol('--force', '--server', front.url, '--ca', 'large.pem')
    expect([refused.status, refused.stderr]).toEqual([expect.any(Number), expect.stringContaining('131072')])
    expect(refused.status).not.toBe(0)
    expect(await stored()).toBe(null)
  })

  test('a host that an earlier build enrolled with an authority beside its enrolment goes on with that, and the next write takes it in', async () => {
    const { certificate, front } = await serveSecurely()
    await world.enrol('--server', front.url, '--ca', 'ca.pem')
    const [file, beside] = [join(world.home, 'state', 'agent.json'), join(world.home, 'state', 'ca.pem')]
    const stored = async () => JSON.parse(await readFile(file, 'utf8'))
    const { ca: _, ...before } = await stored()
    const write = (has_ca: boolean) => writeFile(file, JSON.stringify({ ...before, has_ca }))
    await write(true)
    await writeFile(beside, certificate.cert, { mode: 0o600 })

    expect((await world.run('update', 'check')).status).toBe(0)
    await world.publish('0a1')
    const upgraded = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(upgraded.status, upgraded.stderr).toBe(0)
    const host = { disk: createNodeDisk([]), files: agentFilesOf(buildPaths({ home: world.home })) }
    expect((await loadIdentity(host))?.enrolment.ca).toBe(certificate.cert)
    await chmod(beside, 0o644)
    const open = await world.run('update', 'check')
    expect([open.status, open.stderr]).toEqual([5, expect.stringContaining(`chmod 600 ${beside}`)])
    await chmod(beside, 0o600)
    expect((await world.run('agent', 'set-channel', 'release')).status).toBe(0)
    expect(await stored()).toEqual({ ...before, channel: 'release', ca: certificate.cert })
    await rm(beside)
    expect((await world.run('update', 'check')).status).toBe(0)

    await write(false)
    expect((await world.run('update', 'check')).status).toBe(6)
    await write(true)
    const gone = await world.run('update', 'check')
    expect([gone.status, gone.stderr]).toEqual([2, expect.stringContaining(`${beside} is gone`)])
    expect(gone.stderr).toContain(`netlink agent enroll --force --server ${front.url}`)
    await writeFile(beside, certificate.cert.repeat(300), { mode: 0o600 })
    const long = await world.run('update', 'check')
    expect([long.status, long.stderr]).toEqual([7, expect.stringContaining(`${beside} is too long`)])
    expect((await world.enrol('--force', '--server', front.url, '--ca', 'ca.pem')).status).toBe(0)
    expect((await world.run('update', 'check')).status).toBe(0)
    expect((await world.run('agent', 'leave', '--yes')).status).toBe(0)
    await expect(stat(beside)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('leave forgets the server, after it was asked for in so many words', async () => {
    await world.enrol()
    expect((await world.run('agent', 'leave')).status).toBe(4)
    expect((await world.run('agent', 'leave', '--yes')).status).toBe(0)
    expect((await world.run('update', 'check')).status).toBe(2)
  })
})
