// The daemon's socket, asked for what no program of ours would ask.
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildLocalApi } from '../../agent/daemon/local-api.ts'
import { buildPaths } from '../../agent/paths.ts'

const UPDATE_ID = 'update_0a1_0a2+fix_20261123_100000'
const asked: object[] = []
const daemon = {
  look: () => {},
  start: (task: object) => {
    asked.push(task)
    const end = Promise.resolve({ kind: 'done', result: { state: 'succeeded' } } as const)
    return { planned: Promise.resolve(UPDATE_ID), end, stop: () => {} }
  },
}
const server = buildLocalApi({ daemon, paths: buildPaths({ home: '/nothing/here' }), about: () => ({}) })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-local-api-'))
  await new Promise<void>((resolve) => server.listen(join(folder, 'agent.sock'), resolve))
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})

const statusOf = (path: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    const sent = request({ socketPath: join(folder, 'agent.sock'), path, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    sent.once('error', reject).end()
  })

test.each(['//', '//[', '/api/v1/system/updates/status/%', '/api/v1/system/updates/status/update_%92_1'])(
  '%s is nothing that is here, and no failure of the daemon',
  async (path) => {
    expect(await statusOf(path)).toBe(404)
    expect(asked).toEqual([])
  },
)

test('an id is read with its plus sign spelled out or not', async () => {
  const prefix = '/api/v1/system/updates/status/'
  expect(await statusOf(`${prefix}${UPDATE_ID}`)).toBe(200)
  expect(await statusOf(`${prefix}${encodeURIComponent(UPDATE_ID)}`)).toBe(200)
  const task = { task: 'status', update_id: UPDATE_ID }
  expect(asked.splice(0)).toEqual([task, task])
})
