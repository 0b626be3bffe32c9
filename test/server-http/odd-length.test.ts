// Bodies in which something has a length of its own, which zod would count.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HttpWorld } from './world.ts'

const ODD = { length: { valueOf: 1, toString: 1 } }

let world: HttpWorld
beforeAll(async () => {
  world = await HttpWorld.create()
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

test('are refused as invalid, whoever sends them, and are no failure of the server', async () => {
  const enrol = await world.request('POST', '/api/v1/agent/enroll', { body: { token: ODD } })
  expect(enrol.status).toBe(400)
  expect(await enrol.json()).toMatchObject({ errors: [{ pointer: '/token/length' }] })
  const pause = (reason: unknown) =>
    world.request('PUT', '/api/v1/fleet/brake', { scope: 'admin', body: { paused: true, reason } })
  expect((await pause(ODD)).status).toBe(400)
  expect((await pause('until Monday')).status).toBe(200)
})

test('with the name spelled in escapes are no way around', async () => {
  const answer = await world.app.request('/api/v1/agent/enroll', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"token":{"l\\u0065ngth":{"valueOf":1,"toString":1}}}',
  })
  expect(answer.status).toBe(400)
})
