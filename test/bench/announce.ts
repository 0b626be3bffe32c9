// From a release being published to every connected agent having verified the new metadata. 200 agents' sessions in two processes beside
// the server, on the same cores; the clock starts when the new timestamp stands in the server's storage.
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../world/programs.ts'
import { publishedFile } from '../world/storage.ts'
import { buildWorld, expectDone, type World } from '../world/world.ts'
import { type Figure, inWords, median, quantile } from './figure.ts'

const AGENTS = 200
const PROCESSES = 2
const ROUNDS = 9
const LIMIT_MS = 500
const root = join(import.meta.dirname, '..', '..')

export async function announce(folder: string): Promise<Figure[]> {
  const world = await buildWorld(folder)
  for (const name of ['app-v1', 'app-v2'])
    await cp(join(root, 'docs', 'examples', name), join(folder, name), { recursive: true })
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  const each = AGENTS / PROCESSES
  const sessions = Array.from({ length: PROCESSES }, (_, index) => startSessions(world, index * each, each))
  try {
    if (!(await until(180, () => (sessions.every((one) => one.ready()) ? true : undefined))))
      throw new Error('not all agents connected')
    const worst: number[] = []
    const middle: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const delays = await publishOnce(world, sessions, `0a${round + 2}`, round % 2 === 0 ? 'app-v2' : 'app-v1')
      worst.push(quantile(delays, 0.99))
      middle.push(median(delays))
    }
    return [
      {
        what: `published to metadata verified, ${AGENTS} agents, ${ROUNDS} releases, p99`,
        ours: inWords(median(worst)),
        peer: `median agent ${inWords(median(middle))}; polling peers 30 s to 30 min`,
        ratio: (median(worst) / LIMIT_MS).toFixed(2),
        goal: `under ${LIMIT_MS} ms`,
        held: median(worst) < LIMIT_MS,
      },
    ]
  } finally {
    for (const one of sessions) one.child.kill('SIGKILL')
  }
}

interface Sessions {
  readonly child: ChildProcess
  ready(): boolean
  /** Times of followed hints since the last call. */
  take(): number[]
  count(): number
}

function startSessions(world: World, first: number, count: number): Sessions {
  const args = [join(import.meta.dirname, 'agents.ts'), world.folder, world.server, String(first), String(count)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  const lines = () => text.split('\n').slice(0, -1)
  const times = () =>
    lines()
      .filter((line) => line !== 'ready')
      .map(Number)
  let taken = 0
  return {
    child,
    ready: () => lines().includes('ready'),
    count: () => times().length - taken,
    take: () => {
      const fresh = times().slice(taken)
      taken += fresh.length
      return fresh
    },
  }
}

async function publishOnce(
  world: World,
  sessions: readonly Sessions[],
  version: string,
  from: string,
): Promise<number[]> {
  for (const one of sessions) one.take()
  expectDone(await world.publish(['release', version, '--from', from]))
  const { mtimeMs } = await stat(publishedFile(world.folder, 'metadata/timestamp.json'))
  const all = () => sessions.reduce((sum, one) => sum + one.count(), 0)
  if (!(await until(30, () => (all() >= AGENTS ? true : undefined))))
    throw new Error(`only ${all()} of ${AGENTS} agents followed ${version}`)
  return sessions.flatMap((one) => one.take()).map((time) => time - mtimeMs)
}
