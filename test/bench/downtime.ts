// How long the service does not answer during an upgrade, against stopping it and starting the new version by hand.
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from '../services/free-port.ts'
import { onHost } from '../world/host.ts'
import { buildWorld, expectDone } from '../world/world.ts'
import { type Figure, inWords, median } from './figure.ts'

const ROUNDS = 5
const LIMIT = 1.2
const root = join(import.meta.dirname, '..', '..')

export async function downtime(folder: string): Promise<Figure[]> {
  const world = await buildWorld(folder)
  for (const name of ['app-v1', 'app-v2'])
    await cp(join(root, 'docs', 'examples', name), join(folder, name), { recursive: true })
  for (const name of ['app-v1', 'app-v2']) await hasten(join(folder, name))
  const host = await world.enrol('upgrader', 'alpha')
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  expectDone(await onHost(folder, host, ['update', 'upgrade', '--latest', '--yes']))

  const ours: number[] = []
  const byHand: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    expectDone(await world.publish(['release', `0a${round + 2}`, '--from', round % 2 === 0 ? 'app-v2' : 'app-v1']))
    ours.push(
      await unreachable(
        host.port,
        async () => void expectDone(await onHost(folder, host, ['update', 'upgrade', '--latest', '--yes'])),
      ),
    )
    byHand.push(await restartByHand(folder))
  }
  await onHost(folder, host, ['service', 'stop'])
  const ratio = median(ours) / median(byHand)
  return [
    {
      what: `service unreachable during an upgrade, ${ROUNDS} runs`,
      ours: inWords(median(ours)),
      peer: `stopped and started by hand ${inWords(median(byHand))}`,
      ratio: ratio.toFixed(2),
      goal: `at most ${LIMIT}`,
      held: ratio <= LIMIT,
    },
  ]
}

/** Shortens the wait for stability: it lies after the service answers again, and would only make the benchmark long. */
async function hasten(release: string): Promise<void> {
  const file = join(release, 'release.json')
  const written = JSON.parse(await readFile(file, 'utf8'))
  written.service.stability_ms = 500
  await writeFile(file, JSON.stringify(written))
}

/** The same service without any of us: SIGTERM, wait for its end, start the other version. */
async function restartByHand(folder: string): Promise<number> {
  const port = await freePorts(1)
  const data = join(folder, 'by-hand')
  await mkdir(data, { recursive: true })
  const env = { ...process.env, PORT: String(port), NETLINK_DATA_DIR: data, NETLINK_VERSION: '0a1' }
  const begin = async (name: string): Promise<ChildProcess> => {
    const cwd = join(folder, name)
    const { service } = JSON.parse(await readFile(join(cwd, 'release.json'), 'utf8'))
    const [program, ...args] = service.argv as [string, ...string[]]
    return spawn(program, args, { cwd, env, stdio: 'ignore' })
  }
  let service = await begin('app-v1')
  while (!(await answers(port))) await pause(5)
  const lost = await unreachable(port, async () => {
    const gone = new Promise((resolve) => service.once('exit', resolve))
    service.kill('SIGTERM')
    await gone
    service = await begin('app-v2')
    while (!(await answers(port))) await pause(1)
    await pause(100)
  })
  service.kill('SIGKILL')
  return lost
}

/** Asks every millisecond or so while `work` goes on; the longest time between two answers is how long it was away. */
async function unreachable(port: number, work: () => Promise<void>): Promise<number> {
  let longest = 0
  let last = performance.now()
  let working = true
  const asking = (async () => {
    while (working) {
      if (await answers(port)) {
        longest = Math.max(longest, performance.now() - last)
        last = performance.now()
      }
      await pause(1)
    }
  })()
  await work()
  working = false
  await asking
  return longest
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const ask = request({ port, host: '127.0.0.1', path: '/health', agent: false, timeout: 1_000 }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode === 200))
    })
    ask.once('error', () => resolve(false))
    ask.once('timeout', () => ask.destroy(new Error('timeout')))
    ask.end()
  })
}
