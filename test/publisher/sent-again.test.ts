// What the server's disk has lost, whoever published it can send again.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { answerOf, openWorld } from './world.ts'

test('`publish` of what is published sends an artifact again that the server no longer has whole', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  expect(await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1')).toMatchObject({ status: 0 })
  const folder = join(world.folder, 'srv', 'storage', 'repo', 'artifacts')
  const [name = ''] = await readdir(folder)
  const whole = await readFile(join(folder, name))
  const broken = Buffer.from(whole)
  broken[100]! ^= 1
  await writeFile(join(folder, name), broken)
  expect(await world.publish('verify', '0a1')).toMatchObject({ status: 7 })

  const again = await world.publish('publish', '0a1', '--json')
  expect(answerOf(again)).toMatchObject({ ok: true, unchanged: false, sent_again: 1 })
  expect((await readFile(join(folder, name))).equals(whole)).toBe(true)
  expect(await world.publish('verify', '0a1')).toMatchObject({ status: 0 })
  expect(answerOf(await world.publish('publish', '0a1', '--json'))).toMatchObject({ unchanged: true, sent_again: 0 })
})
