// The resident agent: one socket, nothing to do. Against a bare Node process that holds one socket open.
import { spawn } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { onHost, startAgent } from '../world/host.ts'
import { run, until } from '../world/programs.ts'
import { buildWorld, expectDone } from '../world/world.ts'
import type { Figure } from './figure.ts'
import { inMiB, memoryOf } from './memory.ts'

const LIMIT = 60 * 2 ** 20
const SETTLE_MS = 10_000
const root = join(import.meta.dirname, '..', '..')

export async function idle(folder: string): Promise<Figure[]> {
  const world = await buildWorld(folder)
  await cp(join(root, 'docs', 'examples', 'app-v1'), join(folder, 'app-v1'), { recursive: true })
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  const host = await world.enrol('idler', 'alpha')
  expectDone(await onHost(folder, host, ['update', 'upgrade', '--latest', '--yes']))
  startAgent(folder, host)
  const online = await until(20, async () => {
    const { stdout } = await run(folder, 'netlink-admin', [
      'fleet',
      'status',
      '--json',
      '--server',
      world.server,
      '--token-file',
      'srv/secrets/admin.token',
    ])
    return JSON.parse(stdout).online === 1 ? true : undefined
  })
  if (!online || !host.agent?.pid) throw new Error('the agent did not come online')
  const bare = spawn(process.execPath, ['-e', `require('net').connect(${new URL(world.server).port}, '127.0.0.1')`], {
    stdio: 'ignore',
  })
  await pause(SETTLE_MS)
  const agent = await memoryOf(host.agent.pid)
  const peer = await memoryOf(bare.pid ?? 0)
  bare.kill()
  await onHost(folder, host, ['service', 'stop'])
  return [
    {
      what: `idle agent after ${SETTLE_MS / 1000} s, resident (private ${inMiB(agent.anonymous)})`,
      ours: inMiB(agent.resident),
      peer: `bare Node with one socket ${inMiB(peer.resident)}`,
      ratio: (agent.resident / peer.resident).toFixed(2),
      goal: `at most ${inMiB(LIMIT)}`,
      held: agent.resident <= LIMIT,
    },
  ]
}
