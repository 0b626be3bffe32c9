// The supervisor as a real process over a real service.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identify, isAlive, readStartTime } from '../../agent/service/process-facts.ts'
import { loadProcessRecord } from '../../agent/service/process-record.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { type HostFolder, makeHostFolder, node } from './host-folder.ts'
import { until } from './service-contract.ts'

const QUIET = 'setInterval(() => {}, 1000)\n'

let host: HostFolder
beforeEach(async () => {
  host = await makeHostFolder()
})
afterEach(() => host.close())

const running = async () => {
  const status = await host.control.status()
  return status.state === 'running' ? status : undefined
}

describe('the service', () => {
  test('gets the environment that its release and its site say, and nothing else', async () => {
    await writeFile(host.paths.appEnv, 'PORT=8123\nPASSWORD="a b"\nUNUSED=x\n')
    const service = {
      env: { PORT: '${PORT}', PASSWORD: '${PASSWORD}', LEVEL: '${LEVEL:-info}', WHERE: '${NETLINK_VERSION}' },
    }
    await host.control.start(
      await host.layOut(3, service, {
        'app.mjs': `console.log(JSON.stringify({ env: process.env, cwd: process.cwd() }));${QUIET}`,
      }),
    )
    const { env, cwd } = await until(async () => {
      const line = (await host.appLog()).split('\n')[0]
      return line ? JSON.parse(line) : undefined
    })
    expect(env).toMatchObject({
      PORT: '8123',
      PASSWORD: 'a b',
      LEVEL: 'info',
      WHERE: '0a3',
      NETLINK_VERSION: '0a3',
      NETLINK_APP_DIR: join(host.paths.generations, '3', 'app'),
      NETLINK_DATA_DIR: host.paths.data,
      NETLINK_CONFIG_DIR: host.paths.config,
    })
    expect(env.SECRET).toBeUndefined()
    expect(env.UNUSED).toBeUndefined()
    expect(cwd).toBe(join(host.paths.generations, '3', 'app'))
  })

  test('does not start without a value that it asks for', async () => {
    const definition = await host.layOut(1, {}, { 'app.mjs': QUIET })
    await host.control.start(definition)
    await host.layOut(1, { env: { PORT: '${PORT:-1}' } })
    await host.control.restart(definition)
    const file = join(host.paths.generations, '1', 'generation.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('${PORT:-1}', '${PORT}'))
    await expect(host.control.restart(definition)).rejects.toMatchObject({ code: 'bad-environment' })
    await writeFile(host.paths.appEnv, 'PORT=1\n')
    await host.control.restart(definition)
  })

  test('does not start where its program is missing', async () => {
    await expect(host.control.start(await host.layOut(1, { argv: ['./none'] }))).rejects.toMatchObject({
      code: 'not-startable',
    })
    await expect(host.control.start(await host.layOut(1, { argv: ['no-such-program'] }))).rejects.toMatchObject({
      code: 'not-startable',
    })
    expect((await host.control.status()).state).toBe('stopped')
  })

  test('that ignores its stop signal is killed when its time is over, with its children', async () => {
    const app = `
      import { spawn } from 'node:child_process'
      process.on('SIGTERM', () => {})
      const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'])
      console.log(child.pid)
      ${QUIET}`
    await host.control.start(await host.layOut(1, { stop_timeout_ms: 300 }, { 'app.mjs': app }))
    const child = await until(async () => Number((await host.appLog()).split('\n')[0]) || undefined)
    const { identity } = await until(running)
    expect(readStartTime(child)).toBeDefined()
    await host.control.stop()
    expect(isAlive(identity)).toBe(false)
    await until(async () => (readStartTime(child) === undefined ? true : undefined))
  })

  test('comes up again after a crash, each time later', async () => {
    const app = `console.log('up ' + Date.now()); setTimeout(() => process.exit(7), 50)`
    await host.control.start(await host.layOut(1, {}, { 'app.mjs': app }))
    const starts = await until(async () => {
      const lines = (await host.appLog()).split('\n').filter((line) => line.startsWith('up'))
      return lines.length >= 4 ? lines.map((line) => Number(line.slice(3))) : undefined
    }, 15_000)
    const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0))
    expect(pauses[0]).toBeGreaterThan(400)
    expect(pauses[2]).toBeGreaterThan((pauses[0] ?? 0) * 1.8)
    expect((await host.control.status()).state).toMatch(/crashed|running/)
  }, 20_000)
})

describe('kill -9', () => {
  test('of whoever asked never stops the service', async () => {
    await host.layOut(1, {}, { 'app.mjs': QUIET })
    const script = `
      import { buildExecControl } from '${import.meta.dirname}/../../agent/service/exec-control.ts'
      import { buildPaths } from '${import.meta.dirname}/../../agent/paths.ts'
      import { nodeDisk } from '${import.meta.dirname}/../../keys/platform/disk.ts'
      import { systemClock } from '${import.meta.dirname}/../../keys/platform/clock.ts'
      const paths = buildPaths({ root: '${host.paths.root}', state: '${host.paths.state}' })
      const control = buildExecControl({ disk: nodeDisk, clock: systemClock, paths, env: process.env })
      await control.start({ generation: 1 })
      console.log('started')
      setInterval(() => {}, 1000)`
    const file = join(host.paths.data, 'client.ts')
    await writeFile(file, script)
    const client = spawn(node, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(client.stdout, 'data')
    const before = await host.control.identity()
    client.kill('SIGKILL')
    await once(client, 'exit')
    expect(await host.control.identity()).toEqual(before)
    expect(before && isAlive(before)).toBe(true)
  })

  test('of the supervisor leaves the service running, and the next one adopts it', async () => {
    await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
    const { identity } = await until(running)
    await killSupervisor(host)
    expect(isAlive(identity)).toBe(true)
    expect(await host.control.status()).toMatchObject({ state: 'running', generation: 1, identity })
    await host.control.stop()
    expect(isAlive(identity)).toBe(false)
  })

  test('of both is seen as a crash, and mended', async () => {
    await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
    const { identity } = await until(running)
    await killSupervisor(host)
    process.kill(identity.pid, 'SIGKILL')
    await until(async () => (isAlive(identity) ? undefined : true))
    await host.control.start(await host.layOut(1, {}))
    expect((await until(running)).identity).not.toEqual(identity)
  })

  test('of an adopted service is seen too', async () => {
    await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
    const { identity } = await until(running)
    await killSupervisor(host)
    await until(running)
    process.kill(identity.pid, 'SIGKILL')
    const next = await until(async () => {
      const now = await running()
      return now && now.identity.pid !== identity.pid ? now : undefined
    })
    expect(next.restarts).toBe(1)
  })

  test('of the supervisor between making the process and letting it go leaves none', async () => {
    // Given a process that is held at its gate by a supervisor that dies.
    const { startProcess } = await import('../../agent/service/start-process.ts')
    const definition = await host.layOut(1, {}, { 'app.mjs': `console.log('ran');${QUIET}` })
    const started = await startProcess(definition, host.paths.appLog)
    expect(isAlive(started.identity)).toBe(true)
    started.child.stdin?.destroy() // what the kernel does when the other end dies
    await once(started.child, 'exit')
    expect(await host.appLog()).not.toContain('ran')
  })

  test('of the supervisor again and again never makes two services', async () => {
    await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
    for (let round = 0; round < 5; round++) {
      const order =
        round % 2 === 0
          ? host.control.restart(await host.layOut(1, {}))
          : host.control.start(await host.layOut(2, {}, { 'app.mjs': QUIET }))
      await killSupervisor(host).catch(() => undefined)
      await order
    }
    await until(running)
    expect(processesOf(host)).toHaveLength(1)
  }, 30_000)
})

test('two that need a supervisor at once get the same one', async () => {
  const definition = await host.layOut(1, {}, { 'app.mjs': QUIET })
  await Promise.all([host.control.start(definition), host.control.start(definition), host.control.start(definition)])
  expect(processesOf(host)).toHaveLength(1)
})

test('a process number that was given to somebody else is not taken for the service', async () => {
  await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
  await host.control.end('shutdown')
  const record = await loadProcessRecord(nodeDisk, host.paths)
  const stranger = identify(process.pid)
  if (!record.process || !stranger) throw new Error('no record')
  const forged = { wanted: 'running', process: { ...record.process, identity: { ...stranger, startTime: '1' } } }
  await writeFile(join(host.paths.service, 'process.json'), JSON.stringify(forged))
  await host.control.stop()
  expect((await host.control.status()).state).toBe('stopped')
})

test('a host in a deep folder has its socket elsewhere, and nothing else changes', async () => {
  const deep = await makeHostFolder(`netlink-${'deep-'.repeat(20)}`)
  try {
    await deep.control.start(await deep.layOut(1, {}, { 'app.mjs': QUIET }))
    expect(await deep.control.status()).toMatchObject({ state: 'running' })
  } finally {
    await deep.close()
  }
})

test('one whose socket was taken away gives way to another, and the service stays', async () => {
  await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
  const { identity } = await until(running)
  await rm(join(host.paths.service, 'supervisor.sock'))
  expect(await host.control.status()).toMatchObject({ state: 'running', identity })
})

test('it needs little memory', async () => {
  await host.control.start(await host.layOut(1, {}, { 'app.mjs': QUIET }))
  const pid = await supervisorPid(host)
  const anonymous = /^Anonymous:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]
  // In a checkout the type stripper is part of it; the built package has less.
  expect(Number(anonymous)).toBeLessThan(40 * 1024)
})

async function killSupervisor(of: HostFolder): Promise<void> {
  const pid = await supervisorPid(of)
  process.kill(pid, 'SIGKILL')
  await until(async () => (readStartTime(pid) === undefined ? true : undefined))
}

async function supervisorPid(of: HostFolder): Promise<number> {
  const lines = (await of.supervisorLog())
    .trim()
    .split('\n')
    .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  const pid = lines.findLast((line) => line.event === 'supervisor.started')?.pid
  if (typeof pid !== 'number') throw new Error('no supervisor was started')
  return pid
}

/** Living processes whose working folder is one of this host's releases. */
function processesOf(of: HostFolder): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const env = readFileSync(`/proc/${pid}/environ`, 'utf8')
        return env.includes(`NETLINK_DATA_DIR=${of.paths.data}`) && readStartTime(pid) !== undefined
      } catch {
        return false
      }
    })
}
