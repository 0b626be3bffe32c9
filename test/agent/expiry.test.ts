// What expires is told in time by the host itself; and what has expired stops new installs, but neither what runs nor the agent.
import { afterEach, describe, expect, test } from 'vitest'
import { daysFrom } from '../sim/repository.ts'
import { until } from '../world/programs.ts'
import { type AgentWorld, buildAgentWorld, publishedWorld } from './agent-world.ts'

let world: AgentWorld
afterEach(() => world.close())

/** Publishes this role with another expiry. */
async function expiring(role: string, expires: string): Promise<void> {
  world.repo.role(role).expires = expires
  await world.repo.publish(role)
}

/** What is served of the role has had its time. */
const expired = (role: string) => expiring(role, daysFrom(new Date(Date.now() - 1_000), 0))

const inDays = (days: number) => daysFrom(new Date(), days)

describe('what people sign', () => {
  test.each([
    ['alpha', 29, 30],
    ['root', 6, 7],
    ['targets', 0.5, 1],
  ])(
    '%s with %d days left: check, status and the report say so',
    async (role, days, within) => {
      world = await publishedWorld()
      const well = await world.json('update', 'check')
      expect(well.expiry).toBeNull()
      expect((await world.run('update', 'status')).stdout).not.toContain('expiry')

      await expiring(role, inDays(days))
      const { status, stdout } = await world.run('update', 'check')
      expect(status).toBe(0)
      expect(stdout).toContain(`expiry  ${role} expires `)
      expect((await world.json('update', 'check')).expiry).toMatchObject({ role, within_days: within })
      expect((await world.run('update', 'status')).stdout).toMatch(new RegExp(`expiry +${role} expires`))
      await world.run('update', 'upgrade', '--latest', '--yes')
      const inventories = world.reports.flatMap(({ body }) => (body.type === 'inventory' ? [body.inventory] : []))
      expect(inventories.at(-1)?.expiring).toMatchObject({ role, within_days: within })
    },
    60_000,
  )
})

describe('an expired repository', () => {
  test.each(['root', 'targets', 'alpha'])(
    '%s: nothing new is installed, what runs goes on, the agent starts',
    async (role) => {
      world = await buildAgentWorld()
      await world.enrol()
      const service = { argv: ['sleep', '1000'], ready_ms: 5_000, stability_ms: 100 }
      await world.publish('0a1', { service })
      expect(await world.run('update', 'upgrade', '--latest', '--yes')).toMatchObject({ status: 0 })
      const { pid } = (await world.json('service', 'status')).service.identity
      await world.publish('0a2')
      await world.json('update', 'check')
      await expired(role)

      for (const args of [
        ['check'],
        ['upgrade', '--latest', '--yes'],
        ['upgrade', '--to', '0a2', '--yes', '--force'],
      ]) {
        const { status, stderr } = await world.run('update', ...args)
        expect(status, stderr).toBe(7)
        expect(stderr).toContain('E-EXPIRED')
      }
      expect(await world.installed()).toBe('0a1')
      const told = await world.run('update', 'status')
      expect(told).toMatchObject({ status: 0, stdout: expect.stringContaining(`${role} `) })
      // A look that was refused did not find that there is nothing newer.
      expect(told.stdout).toMatch(/^check +.*: what the server shows was refused; before that: 0a2 is there$/m)
      const daemon = world.start('agent', 'run')
      try {
        const isUp = await until(40, async () =>
          (await world.json('agent', 'status')).daemon.running === true ? true : undefined,
        )
        expect(isUp, daemon.output()).toBe(true)
        expect(daemon.child.exitCode).toBeNull()
      } finally {
        daemon.child.kill('SIGTERM')
        await daemon.end
      }
      expect(await world.installed()).toBe('0a1')
      expect((await world.json('service', 'status')).service).toMatchObject({ state: 'running', identity: { pid } })

      // Signed anew, it goes on.
      await expiring(role, inDays(90))
      expect(await world.run('update', 'upgrade', '--latest', '--yes')).toMatchObject({ status: 0 })
      expect(await world.installed()).toBe('0a2')
    },
    120_000,
  )
})
