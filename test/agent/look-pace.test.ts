// How often a daemon looks because somebody else asks for it: a real daemon over a clock that a test turns, and a server that does not stop asking.
import { expect, test } from 'vitest'
import { buildDaemon } from '../../agent/daemon/daemon.ts'
import type { Outbox } from '../../agent/report/outbox.ts'
import type { SocketListener } from '../../agent/report/socket.ts'
import type { WorkerTask } from '../../agent/worker-protocol.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Inventory } from '../../schema/report.ts'

const LOOK_MS = 400
const brake = { paused: false, reason: null, since: null }

/** A clock that stands still until it is moved, and wakes whoever sleeps on the way. */
function handClock() {
  let nowMs = 0
  const sleepers = new Set<{ readonly atMs: number; wake(): void }>()
  const clock: Clock = {
    now: () => new Date(1_795_000_000_000 + nowMs),
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const sleeper = { atMs: nowMs + ms, wake: resolve }
        sleepers.add(sleeper)
        const stop = () => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', stop, { once: true })
      }),
  }
  async function pass(ms: number): Promise<void> {
    for (const endMs = nowMs + ms; ; ) {
      await new Promise((resolve) => setImmediate(resolve))
      const [next] = [...sleepers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      nowMs = next ? Math.max(nowMs, next.atMs) : endMs
      if (!next) return
      sleepers.delete(next)
      next.wake()
    }
  }
  return { clock, pass, nowMs: () => nowMs }
}

/** A daemon whose looks take `LOOK_MS`; `published` is what they find. */
async function startDaemon() {
  const { clock, pass, nowMs } = handClock()
  const looks: number[] = []
  const published = { target: null as string | null, timestamp_version: 1 }
  const told: SocketListener[] = []
  const offered: string[] = []
  const brakes: boolean[] = []
  const outbox: Outbox = {
    append: async () => undefined,
    take: async () => [],
    count: async () => 0,
    resumeAfter: async () => 'same',
    strayed: async () => false,
    begin: async () => undefined,
    toldOf: async () => undefined,
  }
  const daemon = buildDaemon({
    clock,
    random: () => 0.5,
    outbox,
    buildSocket: (heard) => {
      told.push(heard)
      return { send: () => true, run: async () => undefined }
    },
    startWorker: (task: WorkerTask) => {
      if (task.task === 'tick') looks.push(nowMs())
      const inventory = { version: null, ...published } as unknown as Inventory
      const result =
        task.task === 'recover'
          ? { recovery: 'clean', service: 'none' }
          : {
              inventory,
              timestamp_version: published.timestamp_version,
              changed: false,
              wake_at: null,
              interval_ms: 900_000,
            }
      const end = clock.sleep(task.task === 'tick' ? LOOK_MS : 0).then(() => ({ kind: 'done' as const, result }))
      return { planned: end.then(() => undefined), end, stop: () => undefined }
    },
    saveBrake: async ({ paused }) => void brakes.push(paused),
    saveStanding: async () => undefined,
    saveOffered: async (document) => void offered.push(document),
    outboxChangedMs: async () => 0,
    rest: () => undefined,
    log: () => undefined,
  })
  const [listener] = told
  if (!listener) throw new Error('the daemon has no socket')
  const stop = new AbortController()
  void daemon.run(stop.signal, new AbortController().signal)
  await pass(60_000)
  looks.length = 0
  /** Asks `perSecond` times a second for so long. */
  const press = async (seconds: number, perSecond: number, ask: (count: number) => void) => {
    for (let count = 0; count < seconds * perSecond; count++) {
      ask(count)
      await pass(1_000 / perSecond)
    }
  }
  return { listener, daemon, looks, published, offered, brakes, pass, press, nowMs, stop }
}

const checkNow = { type: 'hint', cause: 'check_now', timestamp_version: 1 } as const

test('the first hints after a quiet time are followed at once', async () => {
  const { listener, looks, nowMs, pass, stop } = await startDaemon()
  for (let time = 0; time < 3; time++) {
    const askedMs = nowMs()
    listener.onHint(checkNow)
    await pass(1_000)
    expect((looks.at(-1) ?? 0) - askedMs).toBeLessThanOrEqual(150)
  }
  expect(looks).toHaveLength(3)
  stop.abort()
})

test('a server that asks twenty times a second for ten minutes gets few looks, and a growing pause between them', async () => {
  const { listener, looks, press, stop } = await startDaemon()
  await press(600, 20, () => listener.onHint(checkNow))
  expect(looks.length).toBeGreaterThan(10)
  expect(looks.length).toBeLessThan(40)
  expect((looks.at(-1) ?? 0) - (looks.at(-2) ?? 0)).toBeGreaterThan(30_000)
  stop.abort()
})

test('neither ever greater numbers, nor the brake on and off, nor assignments, nor connecting again make it look more', async () => {
  const { listener, looks, press, pass, offered, stop } = await startDaemon()
  const ways: ((count: number) => void)[] = [
    (count) => listener.onHint({ type: 'hint', cause: 'release', timestamp_version: 1_000 + count }),
    (count) => listener.onBrake({ ...brake, paused: count % 2 === 0 }),
    (count) => listener.onAssignment(`{"signed":${count}}`),
    (count) => {
      const hello = { protocol: 1, brake, stored_seq: 0, timestamp_version: count, next_check_after_ms: 60_000 }
      listener.onWelcome({ type: 'welcome', ...hello })
    },
  ]
  for (const way of ways) {
    looks.length = 0
    await press(60, 20, way)
    expect(looks.length).toBeGreaterThan(0)
    expect(looks.length, String(way)).toBeLessThan(15)
    await pass(200_000)
  }
  expect(offered.length).toBeLessThan(15)
  stop.abort()
})

test('news come through while somebody presses: one look in two seconds, and none of them is lost', async () => {
  const { listener, looks, press, pass, published, stop } = await startDaemon()
  await press(20, 5, (count) => {
    published.timestamp_version = 2 + count
    published.target = `0a${count + 1}`
    listener.onHint({ type: 'hint', cause: 'release', timestamp_version: published.timestamp_version })
  })
  expect(looks.length).toBeGreaterThanOrEqual(10)
  expect(looks.length).toBeLessThanOrEqual(14)
  const before = looks.length
  listener.onHint({ type: 'hint', cause: 'release', timestamp_version: 5_000 })
  await pass(3_000)
  expect(looks.length).toBeGreaterThan(before)
  stop.abort()
})

test('what this host’s own people ask for does not wait behind what others ask for', async () => {
  const { listener, daemon, looks, press, nowMs, pass, stop } = await startDaemon()
  await press(120, 20, () => listener.onHint(checkNow))
  await pass(LOOK_MS)
  const askedMs = nowMs()
  daemon.look()
  await pass(LOOK_MS)
  expect(looks).toContain(askedMs)
  stop.abort()
})
