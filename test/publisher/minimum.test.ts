// The least that a new host may begin with, signed with the channel's keys.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { publishedFile } from '../world/storage.ts'
import { openWorld } from './world.ts'

test('rises, sinks only where that is meant, and stands in the channel’s role', async () => {
  const world = await openWorld()
  expect(await world.init(['alice'])).toMatchObject({ status: 0 })
  for (const version of ['0a1', '0a2'])
    expect(await world.signing(['alice'], 'release', version, '--from', 'app-v1')).toMatchObject({ status: 0 })
  const minimum = async () => {
    const read = (file: string) => readFile(join(publishedFile(world.folder, 'metadata'), file), 'utf8')
    const timestamp = JSON.parse(await read('timestamp.json')).signed.meta['snapshot.json'].version
    const { version } = JSON.parse(await read(`${timestamp}.snapshot.json`)).signed.meta['alpha.json']
    return JSON.parse(await read(`${version}.alpha.json`)).signed.channel.minimum
  }
  expect(await minimum()).toBeNull()
  expect(await world.signing(['alice'], 'minimum', '0a9')).toMatchObject({ status: 3 })
  expect(await world.publish('minimum', '0a2', '--dry-run')).toMatchObject({ status: 0 })
  expect(await minimum()).toBeNull()
  expect(await world.signing(['alice'], 'minimum', '0a2')).toMatchObject({ status: 0 })
  expect(await minimum()).toBe('0a2')
  const lower = await world.signing(['alice'], 'minimum', '0a1')
  expect(lower).toMatchObject({ status: 3, stderr: expect.stringContaining('--allow-lower') })
  expect(await minimum()).toBe('0a2')
  expect(await world.signing(['alice'], 'minimum', '0a1', '--allow-lower')).toMatchObject({ status: 0 })
  expect(await minimum()).toBe('0a1')
}, 60_000)
