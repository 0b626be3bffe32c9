// What waits in a real outbox, moved over a socket whose other end answers as it likes.
import { generateKeyPairSync, sign } from 'node:crypto'
import { expect, test } from 'vitest'
import { buildReportPump } from '../../agent/daemon/report-pump.ts'
import { buildOutbox } from '../../agent/report/outbox.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { createSimDisk } from '../sim/disk.ts'

/** A pump with `count` reports that wait, and the numbers of every batch that it sent. */
async function startPump(count: number) {
  const disk = createSimDisk()
  await makeDirDurable(disk, '/state', 0o700)
  const { privateKey } = generateKeyPairSync('ed25519')
  const outbox = buildOutbox({
    ...{ disk, clock: systemClock, file: '/state/outbox.json', hostId: 'h_1', parties: 'h_1 https://updates.example' },
    sign: (statement) => sign(null, statement, privateKey).toString('hex'),
    lock: async () => ({ release: async () => undefined }),
  })
  const note = () => outbox.append({ type: 'refusal', refusal: { code: 'E-HASH', message: 'no', version: null } })
  for (let at = 0; at < count; at++) await note()
  const batches: number[][] = []
  const troubles: unknown[] = []
  let nowMs = 0
  const pump = buildReportPump({
    outbox,
    socket: () => ({
      send: (message) => {
        if (message.type === 'reports') batches.push(message.items.map(({ seq }) => seq))
        return true
      },
      run: async () => undefined,
    }),
    nowMs: () => nowMs,
    onTrouble: (error) => troubles.push(error),
  })
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { pump, outbox, note, batches, troubles, pass }
}

test('what the server has stored makes room for the next; one that says too little again and again gets nothing again for it', async () => {
  const { pump, outbox, note, batches, troubles, pass } = await startPump(3)
  await pump.onWelcome(0)
  for (let again = 0; again < 50; again++) await pump.onAck(0)
  expect(batches).toEqual([[1, 2, 3]])

  // Some of it is an answer, and all of it is; after half a minute it is tried again anyway.
  await pump.onAck(2)
  expect(batches).toEqual([[1, 2, 3], [3]])
  pass(31_000)
  await pump.pump()
  await note()
  await pump.onAck(3)
  expect(batches.slice(2)).toEqual([[3], [4]])
  await pump.onAck(4)
  expect(await outbox.count()).toBe(0)
  expect(troubles).toEqual([])
})

test('a server that has stored what this host never said is told it behind that, once', async () => {
  const { pump, outbox, batches, troubles } = await startPump(2)
  await pump.onWelcome(0)
  await pump.onAck(70)
  await pump.onAck(70)
  expect(batches).toEqual([
    [1, 2],
    [71, 72],
  ])
  await pump.onAck(72)
  expect(await outbox.count()).toBe(0)
  expect(troubles).toEqual([])
})
