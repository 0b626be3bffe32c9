// The systemd adapter over a systemctl that keeps one unit in memory and answers in systemctl's words. Real units are run by whoever has systemd.
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { ServiceError } from '../../agent/service/control.ts'
import { identify } from '../../agent/service/process-facts.ts'
import { buildSystemdControl } from '../../agent/service/systemd-control.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { makeHostFolder } from './host-folder.ts'

function fakeSystemd() {
  const calls: string[] = []
  const unit = { state: 'inactive', sub: 'dead', result: 'success', restarts: 0, invocation: 0 }
  const systemctl = async (args: readonly string[]): Promise<string> => {
    const [verb, , ...names] = args
    if (verb !== 'show') calls.push([verb, ...names].join(' '))
    if (names.includes('broken.service')) throw new ServiceError('systemd', 'systemctl: Unit broken.service not found.')
    if (verb === 'start' || verb === 'restart')
      Object.assign(unit, { state: 'active', sub: 'running', restarts: 0, invocation: unit.invocation + 1 })
    if (verb === 'stop') Object.assign(unit, { state: 'inactive', sub: 'dead' })
    if (verb !== 'show') return ''
    const pid = unit.state === 'active' ? process.pid : 0
    return `ActiveState=${unit.state}\nSubState=${unit.sub}\nResult=${unit.result}\nMainPID=${pid}\nNRestarts=${unit.restarts}\nInvocationID=${unit.invocation}\nActiveEnterTimestampMonotonic=0\n`
  }
  return { calls, unit, systemctl }
}

async function open() {
  const host = await makeHostFolder()
  const systemd = fakeSystemd()
  const control = buildSystemdControl({
    disk: nodeDisk,
    clock: systemClock,
    paths: host.paths,
    unit: 'demo.service',
    systemctl: systemd.systemctl,
  })
  const define = (generation: number) => host.layOut(generation, {})
  return { host, control, define, ...systemd }
}

describe('service control systemd', () => {
  test('starts the unit and knows which generation runs', async () => {
    const { host, control, define, calls } = await open()
    expect((await control.status()).state).toBe('stopped')
    await control.start(await define(1))
    expect(await control.status()).toMatchObject({
      state: 'running',
      generation: 1,
      version: '0a1',
      identity: identify(process.pid),
    })
    await control.start(await define(1))
    await control.start(await define(2))
    expect(await control.status()).toMatchObject({ generation: 2 })
    await control.stop()
    expect((await control.status()).state).toBe('stopped')
    expect(calls.filter((call) => !call.startsWith('reset'))).toEqual([
      'start demo.service',
      'restart demo.service',
      'stop demo.service',
    ])
    await host.close()
  })

  test('takes a unit that systemd had to restart for one that crashed', async () => {
    const { host, control, define, unit } = await open()
    await control.start(await define(1))
    unit.restarts = 2
    expect(await control.status()).toMatchObject({ state: 'crashed', ended: 'restarted 2 times by systemd' })
    Object.assign(unit, { state: 'failed', sub: 'failed', result: 'exit-code', restarts: 0 })
    expect(await control.status()).toMatchObject({ state: 'crashed', ended: 'failed/failed (exit-code)' })
    await host.close()
  })

  test('starts nothing while an update is undecided, but for that update', async () => {
    const { host, control, define } = await open()
    await writeFile(host.paths.undecided, 'update_0a1_0a2_20261123_100000\n')
    await expect(control.start(await define(1))).rejects.toMatchObject({ code: 'undecided' })
    await control.start(await define(1), 'update_0a1_0a2_20261123_100000')
    await rm(host.paths.undecided)
    await control.restart(await define(1))
    await host.close()
  })

  test('restarts other units, and says what systemctl said', async () => {
    const { host, control, calls } = await open()
    await control.restartUnits([])
    await control.restartUnits(['a.service', 'b.service'])
    expect(calls).toEqual(['restart a.service b.service'])
    await expect(control.restartUnits(['broken.service'])).rejects.toMatchObject({
      code: 'systemd',
      message: expect.stringContaining('not found'),
    })
    await host.close()
  })
})
