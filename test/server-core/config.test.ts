import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { loadConfig } from '../../server/config.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-config-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const HOUR_MS = 3_600_000

async function lifetimesOf(...lines: string[]) {
  const text = ['schema: netlink.server/v1', 'database: { kind: embedded }', 'storage: { kind: fs }', ...lines].join(
    '\n',
  )
  await writeFile(join(folder, 'server.yml'), text)
  return (await loadConfig(nodeDisk, folder, { environment: {} })).lifetimesMs
}

test('what the server signs is good for a day and a week, or as long as it was told', async () => {
  expect(await lifetimesOf()).toEqual({ timestamp: 24 * HOUR_MS, snapshot: 168 * HOUR_MS })
  expect(await lifetimesOf('lifetimes: { timestamp: 30d }')).toEqual({
    timestamp: 720 * HOUR_MS,
    snapshot: 720 * HOUR_MS,
  })
  expect(await lifetimesOf('lifetimes: { timestamp: 6h, snapshot: 2d }')).toEqual({
    timestamp: 6 * HOUR_MS,
    snapshot: 48 * HOUR_MS,
  })
})

test.each(['59m', '91d', '0d', '1 day', 'soon'])('%j is no lifetime', async (text) => {
  await expect(lifetimesOf(`lifetimes: { timestamp: ${text} }`)).rejects.toMatchObject({
    issues: [{ pointer: '/lifetimes/timestamp', message: expect.stringMatching(/expected/) }],
  })
})

test('a file longer than any configuration is not parsed: the parser would take seconds for it', async () => {
  await expect(lifetimesOf(`# ${'{}'.repeat(16_384)}`)).rejects.toMatchObject({ code: 'too-large' })
  expect(await lifetimesOf(`# ${'{}'.repeat(16_000)}`)).toEqual({ timestamp: 24 * HOUR_MS, snapshot: 168 * HOUR_MS })
})
