// The engine in a process of its own, to be killed: real disk, real supervisor, real health checks. Prints its outcome as one line of JSON.
//
//   node engine-child.ts '{"home": …, "port": …, "version": "0a2", "killAt": 7}'      upgrades; dies by SIGKILL when its journal has 7 records
//   node engine-child.ts '{"home": …, "port": …, "killAt": 2}'                        recovers; dies when two more records were written
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineDeps } from '../../agent/engine/deps.ts'
import { recover, runUpdate } from '../../agent/engine/engine.ts'
import { startInstalled } from '../../agent/engine/installed.ts'
import { loadInstalled, nextGeneration } from '../../agent/engine/layout.ts'
import { nodeProbes } from '../../agent/health/node-probes.ts'
import { buildPaths } from '../../agent/paths.ts'
import { buildInstallPlan } from '../../agent/plan-building.ts'
import { buildExecControl } from '../../agent/service/exec-control.ts'
import { readBootId } from '../../agent/service/process-facts.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { createPublisher, pack } from './release.ts'

export interface ChildOrder {
  readonly home: string
  readonly port: number
  /** Absent: recover, then start what is installed. */
  readonly version?: string
  /** 'dies': ends at once, 'sick': never healthy. */
  readonly behaviour?: 'well' | 'dies' | 'sick'
  readonly killAt?: number
}

/** A shop: every order that it acknowledged is on the disk. */
const APP = `
import { appendFileSync, fsyncSync, openSync } from 'node:fs'
import { createServer } from 'node:http'
const { NETLINK_DATA_DIR, NETLINK_VERSION, PORT, BEHAVIOUR } = process.env
if (BEHAVIOUR === 'dies') { console.log('this version dies'); process.exit(9) }
const orders = openSync(NETLINK_DATA_DIR + '/orders', 'a')
createServer((request, response) => {
  if (request.method === 'POST') {
    appendFileSync(orders, request.url.slice(1) + '\\n')
    fsyncSync(orders)
  }
  response.writeHead(BEHAVIOUR === 'sick' && request.url === '/health' ? 500 : 200).end(NETLINK_VERSION)
}).listen(Number(PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
`

if (process.argv[2]) await main(JSON.parse(process.argv[2]))

async function main(order: ChildOrder): Promise<void> {
  const paths = buildPaths({ home: order.home })
  mkdirSync(paths.locks, { recursive: true, mode: 0o700 })
  mkdirSync(paths.config, { recursive: true })
  writeFileSync(paths.appEnv, `PORT=${order.port}\n`)
  const disk = order.killAt === undefined ? nodeDisk : mortalDisk(order.killAt)
  const archives = new Map<string, Uint8Array>()
  const deps: EngineDeps = {
    paths,
    disk,
    clock: systemClock,
    probes: nodeProbes,
    service: buildExecControl({ disk: nodeDisk, clock: systemClock, paths, env: process.env }),
    host: {
      os: process.platform,
      arch: process.arch,
      memoryBytes: 1 << 30,
      agentVersion: '0.1.0',
      bootId: readBootId(),
      env: process.env,
    },
    takeLock: (path) => acquireLock(path, { owner: 'engine test' }),
    artifacts: {
      async fetch(artifact, file) {
        writeFileSync(file, archives.get(artifact.sha256) ?? '')
      },
    },
  }
  if (order.version === undefined) {
    const recovery = await recover(deps)
    await startInstalled(deps)
    console.log(JSON.stringify(recovery))
    return
  }
  const publisher = await createPublisher()
  const packed = pack({ 'app.mjs': APP, 'version.txt': order.version })
  const service = {
    argv: [process.execPath, 'app.mjs'],
    env: { PORT: '${PORT}', BEHAVIOUR: order.behaviour ?? 'well' },
    ready_ms: 2000,
    stability_ms: 100,
    health_checks: [
      {
        type: 'http',
        name: 'health',
        url: 'http://127.0.0.1:${PORT}/health',
        interval_ms: 50,
        timeout_ms: 1000,
        failure_threshold: 2,
      },
    ],
  }
  const { verified, archive } = await publisher.release(order.version, packed, { service })
  archives.set(verified.value.artifacts[0]?.sha256 ?? '', archive)
  const plan = buildInstallPlan(
    {
      now: new Date(),
      platform: `${process.platform}-${process.arch}`,
      installed: await loadInstalled(deps),
      isTaken: () => false,
      rollbackOnFailure: true,
      selfTests: true,
    },
    { verified, generation: await nextGeneration(deps), quarantineAccepted: true },
  )
  if (!plan) throw new Error('no plan')
  console.log(JSON.stringify(await runUpdate(deps, plan, verified)))
}

/** Kills this process as soon as the nth record that it writes to a journal is durable. */
function mortalDisk(killAt: number): Disk {
  let records = 0
  return {
    ...nodeDisk,
    async openAppend(path, mode) {
      const appender = await nodeDisk.openAppend(path, mode)
      if (!path.endsWith(join('/', 'journal.jsonl'))) return appender
      return {
        ...appender,
        get length() {
          return appender.length
        },
        async append(bytes) {
          await appender.append(bytes)
          records += countLines(bytes)
        },
        async sync() {
          await appender.sync()
          if (records >= killAt) process.kill(process.pid, 'SIGKILL')
        },
      }
    },
  }
}

function countLines(bytes: Uint8Array | readonly Uint8Array[]): number {
  const parts = bytes instanceof Uint8Array ? [bytes] : bytes
  return parts.reduce((sum, part) => sum + part.filter((byte) => byte === 0x0a).length, 0)
}
