import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openWorld } from './world.ts'

const FORGOTTEN = `nlk_publish_000000000000_${'0'.repeat(72)}`

test('a token file on the command line comes before NETLINK_TOKEN, which comes before the configuration', async () => {
  // given: a variable that was set long ago; init names its file
  const world = await openWorld({ environment: { NETLINK_TOKEN: FORGOTTEN } })
  expect(await world.init(['alice'])).toMatchObject({ status: 0 })
  const release = ['release', '0a1', '--from', 'app-v1', '--dir', 'pub'] as const

  // when: nothing is named, the variable is taken; then: the refusal says where the token is from
  const refused = await world.signing(['alice'], ...release)
  expect(refused).toMatchObject({ status: 5, stderr: expect.stringContaining('; the token is from NETLINK_TOKEN') })
  expect(refused.stderr).toContain('unset NETLINK_TOKEN')
  expect(refused.stderr).not.toContain(FORGOTTEN)

  // and: the flag wins
  const released = await world.signing(['alice'], ...release, '--token-file', 'srv/secrets/publish.token')
  expect(released, released.stderr).toMatchObject({ status: 0 })
}, 90_000)

test('a file of a token that the server does not know is named in the refusal', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  await writeFile(join(world.folder, 'old.token'), FORGOTTEN)
  const refused = await world.publish('propose', '0a1', '--from', 'app-v1', '--dir', 'pub', '--token-file', 'old.token')
  expect(refused).toMatchObject({ status: 5, stderr: expect.stringContaining('old.token') })
  expect(refused.stderr).not.toContain('NETLINK_TOKEN')
}, 90_000)
