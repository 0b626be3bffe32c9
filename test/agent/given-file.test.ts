// A file that came with a command and is the wrong one is named, with its flag and what it should have been: the repository is not what a person has to mend.
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fingerprintOf } from '../../keys/release.ts'
import { SimRepository } from '../sim/repository.ts'
import { buildAgentWorld, publishedWorld } from './agent-world.ts'

/** Without the line breaks that a terminal's width makes. */
const flat = (text: string) => text.replaceAll(/\s+/g, ' ')

test('a wrong --minimum-role is named, with what it says it is and what was expected', async () => {
  await using world = await buildAgentWorld()
  await world.publish('0a1')
  const give = (bytes: Uint8Array) => writeFile(join(world.folder, 'least.json'), bytes)
  const enrol = () => world.enrol('--minimum-role', 'least.json')

  await give(world.repo.file('1.beta.json'))
  const channel = await enrol()
  expect(channel.status, channel.stderr).toBe(7)
  expect(channel.stderr).toContain('error E-SIG-THRESHOLD: --minimum-role least.json has 0 valid signatures')
  expect(flat(channel.stderr)).toContain(
    "expected the role of channel alpha of demo, as in the publisher's repository/alpha.json; the file says that it is the role of beta, version 1",
  )
  expect(channel.stderr).toContain('Next: netlink agent enroll --help')
  expect(channel.stderr).not.toContain('netlink-publish status')

  await give(world.repo.file('1.targets.json'))
  expect(flat((await enrol()).stderr)).toMatch(
    /--minimum-role least.json .* the file says that it is targets, version 1/,
  )
  await give(Buffer.from('not json'))
  expect((await enrol()).stderr).toContain('error E-MALFORMED: --minimum-role least.json is not')
  expect(await readdir(join(world.home, 'state'))).not.toContain('agent.json')

  await give(world.repo.file(`${world.repo.role('alpha').version}.alpha.json`))
  expect(await enrol()).toMatchObject({ status: 0 })
})

test('a wrong --trust-root is named: no root at all, or the root of another repository', async () => {
  await using world = await buildAgentWorld()
  await world.publish('0a1')
  const other = await SimRepository.create({ product: 'shop', now: new Date(), validDays: 90 })
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', 'alpha']) other.rotateKeys(role)
  await other.publishAsIs('root')
  const give = (bytes: Uint8Array) => writeFile(join(world.folder, 'given.json'), bytes)
  const enrol = () => world.enrol('--trust-root', 'given.json')

  await give(world.repo.file('1.targets.json'))
  const none = await enrol()
  expect(none.status, none.stderr).toBe(7)
  expect(none.stderr).toMatch(/^error E-[A-Z-]+: --trust-root given\.json /)
  expect(flat(none.stderr)).toMatch(/expected the root that the release engineers gave out.*says that it is targets/)
  expect(none.stderr).toContain('Next: netlink agent enroll --help')

  await give(other.file('1.root.json'))
  const foreign = await enrol()
  expect(foreign.status, foreign.stderr).toBe(7)
  expect(flat(foreign.stderr)).toContain(`${world.address} shows is not signed by the keys of --trust-root given.json`)
  expect(flat(foreign.stderr)).toContain(`sha256:${fingerprintOf(other.file('1.root.json'))}`)
  expect(world.requests.filter((request) => request.includes('/enroll'))).toEqual([])

  await give(world.repo.file('1.root.json'))
  expect(await enrol()).toMatchObject({ status: 0 })
})

test('trust reset with another fingerprint says not to use the file, and what it trusts stays', async () => {
  await using world = await publishedWorld()
  const sha256 = fingerprintOf(world.repo.file('1.root.json'))
  const reset = (expected: string) =>
    world.run('agent', 'trust', 'reset', '--root', 'root.json', '--expect-sha256', expected, '--yes')
  const refused = await reset('ab'.repeat(32))
  expect(refused.status, refused.stderr).toBe(7)
  expect(flat(refused.stderr)).toContain(
    'error E-HASH: root.json is not the root that --expect-sha256 vouches for: do not use it.',
  )
  expect(flat(refused.stderr)).toContain(`Expected the fingerprint ${'ab'.repeat(32)}, found ${sha256}`)
  expect(refused.stderr).not.toContain('netlink update check')
  expect(await reset(sha256)).toMatchObject({ status: 0 })
})

test('a server that can’t be reached is asked for itself, by a host that is not enrolled yet', async () => {
  await using world = await buildAgentWorld()
  const refused = await world.enrol('--server', 'http://127.0.0.1:9')
  expect(refused.status, refused.stderr).toBe(6)
  expect(refused.stderr).toContain('Next: curl -i http://127.0.0.1:9/readyz')
  expect(refused.stderr).not.toContain('netlink update check')
})
