// The command line of `netlink`, before any update.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { buildAgentWorld } from './agent-world.ts'

const world = await buildAgentWorld()
afterAll(() => world.close())

const mistakes: [args: string[], expected: RegExp][] = [
  [['update', 'chekc'], /did you mean "check"/],
  [['updat'], /did you mean "update"/],
  [['update', 'version', '--detaild'], /did you mean "--detailed"/],
  [['update', 'upgrade'], /--latest/],
  [['update', 'upgrade', '--latest', '--stable'], /one of/],
  [['update', 'upgrade', '--to', '1.2.3'], /0a1/],
  [['update', 'upgrade', '--to', '00a1'], /leading zeros/],
  [['update', 'downgrade'], /--to VERSION/],
  [['update', 'upgrade', '--latest', '--skip-backup'], /--force/],
  [['update', 'upgrade', '--latest', '--timeout', 'soon'], /30s/],
  [['update', 'hold', '--for', '1h', '--forever'], /one of/],
  [['update', 'history', '--limit', '0'], /from 1/],
  [['agent', 'config', 'set', 'automatic.mod', 'auto'], /automatic.mode/],
  [['agent', 'config', 'set', 'automatic.mode', 'always'], /mode/],
  [['backup', 'create', '--full'], /not in this version/],
  [['cluster', 'status'], /not in this version/],
  [['update', 'check'], /not enrolled/],
  [['help', 'E-SIG-TRESHOLD'], /E-SIG-THRESHOLD/],
]

describe.concurrent('the command line itself', () => {
  test.each(mistakes)('%j: exit 2 and what was meant', async (args, expected) => {
    const { status, stdout, stderr } = await world.run(...args)
    expect(status, stderr).toBe(2)
    expect(stderr).toMatch(/^error E-/)
    expect(stderr).toMatch(expected)
    expect(stdout).toBe('')
  })

  // One of each place that finds mistakes: the parser of words, the one of options, a command's own, and the program itself.
  test.each([
    [['update', 'chekc']],
    [['update', 'version', '--detaild']],
    [['update', 'upgrade', '--latest', '--stable']],
    [['update', 'check']],
    [['cluster', 'status']],
    [['help', 'E-SIG-TRESHOLD']],
  ])('%j --json: exit 2 and the same as a document', async (args) => {
    const { status, stdout } = await world.run(...args, '--json')
    expect(status).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: { code: expect.stringMatching(/^E-/), next: expect.any(Array) },
    })
  })

  // What is run in this process everywhere else is what a process does, for each group and what stands beside them.
  test.each([
    [[], 0],
    [['--version'], 0],
    [['update', '--help'], 0],
    [['update', 'version'], 0],
    [['update', 'check', '--json'], 2],
    [['agent', 'status'], 2],
    [['agent', 'enroll', '--server', 'http://example.com', '--json'], 2],
    [['service', 'status'], 2],
    [['backup', 'create'], 2],
    [['migrate', 'legacy'], 2],
    [['maintenance', 'status'], 2],
    [['cluster', 'status'], 2],
    [['help', 'E-SIG-THRESHOLD'], 0],
    [['doctor'], 2],
    [['updat'], 2],
  ])('%j: exit %d, and the same words, from a process of its own', async (args, status) => {
    const told = await world.process(...args)
    expect(told.status, told.stderr).toBe(status)
    expect(told).toEqual(await world.run(...args))
  })

  test('fleet … is handed to netlink-admin with its status, and where that is not installed: exit 2', async () => {
    await using own = await buildAgentWorld()
    const bin = join(own.folder, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'netlink-admin'), '#!/bin/sh\necho "$@"\nexit 3\n', { mode: 0o755 })
    own.env.PATH = `${bin}:${own.env.PATH}`
    const handed = await own.process('fleet', 'status')
    own.env.PATH = join(own.folder, 'nowhere')
    const missing = await own.process('fleet', 'status')
    expect(handed).toEqual({ status: 3, stdout: 'fleet status\n', stderr: '' })
    expect(missing).toMatchObject({ status: 2, stderr: expect.stringContaining('E-NO-ADMIN') })
  })

  test('a setting that is good is set, and nothing else of the file changes', async () => {
    await using own = await buildAgentWorld()
    expect((await own.run('agent', 'config', 'set', 'automatic.mode', 'auto')).status).toBe(0)
    expect((await own.run('agent', 'config', 'validate')).status).toBe(0)
    await writeFile(join(own.home, 'config', 'update.yml'), 'update_system:\n  automtic: {}\n')
    const wrong = await own.run('agent', 'config', 'validate')
    expect(wrong.status).toBe(2)
    expect(wrong.stderr).toContain('automatic')
    await rm(join(own.home, 'config', 'update.yml'))
  })

  test('every help fits a screen and shows an example', async () => {
    for (const args of [
      [],
      ['update'],
      ['agent'],
      ['update', 'upgrade'],
      ['update', 'rollback'],
      ['agent', 'enroll'],
    ]) {
      const { status, stdout } = await world.run(...args, '--help')
      expect(status).toBe(0)
      expect(stdout.split('\n').length, args.join(' ')).toBeLessThanOrEqual(42)
    }
    expect((await world.run('update', 'upgrade', '--help')).stdout).toContain(
      'netlink update upgrade --to 0b1 --dry-run',
    )
    expect((await world.run('help', 'E-SIG-THRESHOLD')).stdout).toContain('signed')
  })
})
