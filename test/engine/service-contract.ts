// What every service control has to do, whoever runs the process. The engine relies on nothing else.
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ServiceControl, ServiceDefinition, ServiceStatus } from '../../agent/service/control.ts'

export interface ContractWorld {
  readonly control: ServiceControl
  /** A service that runs until it is stopped, as this generation. */
  define(generation: number): Promise<ServiceDefinition>
  /** Makes the running process end by itself after it wrote this line. */
  crash(line: string): Promise<void>
  /** Says that an update is undecided, or with null that none is. */
  mark(updateId: string | null): Promise<void>
  close(): Promise<void>
}

export function describeServiceContract(open: () => Promise<ContractWorld>): void {
  let world: ContractWorld
  beforeEach(async () => {
    world = await open()
  })
  afterEach(() => world.close())

  test('nothing runs at first, and stopping nothing is fine', async () => {
    expect(await world.control.status()).toMatchObject({ state: 'stopped', onPurpose: false })
    expect(await world.control.identity()).toBe(null)
    await world.control.stop()
    expect((await world.control.status()).state).toBe('stopped')
  })

  test('starts, says what runs, stops', async () => {
    await world.control.start(await world.define(1))
    const status = await world.control.status()
    expect(status).toMatchObject({ state: 'running', generation: 1, version: '0a1' })
    expect(await world.control.identity()).toEqual(identityOf(status))
    await world.control.stop()
    expect(await world.control.status()).toEqual({ state: 'stopped', onPurpose: true })
  })

  test('starting the same generation again leaves it alone', async () => {
    await world.control.start(await world.define(1))
    const before = await world.control.identity()
    await world.control.start(await world.define(1))
    expect(await world.control.identity()).toEqual(before)
  })

  test('starting another generation takes its place', async () => {
    await world.control.start(await world.define(1))
    const before = await world.control.identity()
    await world.control.start(await world.define(2))
    expect(await world.control.status()).toMatchObject({ state: 'running', generation: 2 })
    expect(await world.control.identity()).not.toEqual(before)
  })

  test('restarting makes another process', async () => {
    await world.control.start(await world.define(1))
    const before = await world.control.identity()
    await world.control.restart(await world.define(1))
    expect(await world.control.identity()).not.toEqual(before)
  })

  test('a process that ends by itself is seen, with its last lines, and stays down while an update is undecided', async () => {
    await world.mark('update_0a1_0a2_20261123_100000')
    await world.control.start(await world.define(1), 'update_0a1_0a2_20261123_100000')
    await world.crash('out of cheese')
    const status = await until(async () => {
      const now = await world.control.status()
      return now.state === 'crashed' ? now : undefined
    })
    expect(status).toMatchObject({ state: 'crashed', generation: 1 })
    expect(status.state === 'crashed' ? status.tail.join() : '').toContain('out of cheese')
    await world.control.stop()
    expect((await world.control.status()).state).toBe('stopped')
  })

  test('while an update is undecided only that update starts anything', async () => {
    await world.mark('update_0a1_0a2_20261123_100000')
    const definition = await world.define(1)
    await expect(world.control.start(definition)).rejects.toMatchObject({ name: 'ServiceError', code: 'undecided' })
    await expect(world.control.start(definition, 'update_0a1_0a3_20261123_100000')).rejects.toMatchObject({
      code: 'undecided',
    })
    expect((await world.control.status()).state).toBe('stopped')
    await world.control.start(definition, 'update_0a1_0a2_20261123_100000')
    expect((await world.control.status()).state).toBe('running')
    await world.mark(null)
    await world.control.restart(definition)
  })
}

function identityOf(status: ServiceStatus) {
  return status.state === 'running' ? status.identity : undefined
}

/** Asks until there is an answer. Real processes need a moment. */
export async function until<T>(ask: () => Promise<T | undefined>, ms = 10_000): Promise<T> {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`not within ${ms} ms`)
}
