// What is printed on a terminal keeps to its width; in a pipe it is whole.
import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { historyText } from '../../agent/commands/history.ts'
import { buildOutput } from '../../agent/commands/output.ts'
import { planText } from '../../agent/commands/plan-text.ts'
import type { PastUpdate } from '../../agent/history.ts'
import { buildInstallPlan } from '../../agent/plan-building.ts'
import { parseVersion } from '../../schema/version.ts'
import { createPublisher, pack } from '../engine/release.ts'

const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length))

test('history: the update’s name is cut last, reasons stand below', () => {
  const update: PastUpdate = {
    update_id: 'update_0a1_0a2_20261123_100000',
    kind: 'upgrade',
    from: parseVersion('0a1'),
    to: parseVersion('0a2'),
    started_at: '2026-11-23T10:00:00Z',
    ended_at: '2026-11-23T10:00:09Z',
    state: 'reverted',
    phase: 'ready',
    code: 'not_ready',
    reason: 'page: http://127.0.0.1:8080/healthz answered 500, expected 200, and went on like this for a long while',
    details: [],
    unreachable_ms: null,
  }
  const shown = historyText([update], { color: false, width: 80 })
  expect(widest(shown)).toBeLessThanOrEqual(80)
  expect(shown).toContain(`2026-11-23 10:00  upgrade  0a1   0a2  reverted  ${update.update_id}\n    not_ready: page:`)
  expect(widest(historyText([update], { color: false, width: 60 }))).toBeLessThanOrEqual(60)
  const piped = historyText([update], { color: false, width: null })
  expect(piped.trimEnd().split('\n')).toHaveLength(2)
  expect(piped).toContain(`2026-11-23T10:00:00Z  upgrade`)
})

test('plan: one column where two don’t fit', async () => {
  const publisher = await createPublisher()
  const { verified } = await publisher.release('0a1', pack({ '!bin/app': 'one' }), {
    service: { argv: ['./bin/app'], env: {}, ready_ms: 3000, stability_ms: 2000, health_checks: [] },
  })
  const facts = {
    now: new Date('2026-11-23T10:00:00Z'),
    platform: 'linux-x64',
    installed: null,
    isTaken: () => false,
    rollbackOnFailure: true,
    selfTests: true,
  }
  const plan = buildInstallPlan(facts, { verified, generation: 1, quarantineAccepted: false })
  if (!plan) throw new Error('no artifact for this platform')
  const shown = (width: number | null) =>
    planText(plan, { host: 'web-03', laterHops: [], warnings: ['w '.repeat(60)], width })
  expect(widest(shown(80))).toBeLessThanOrEqual(80)
  expect(shown(80)).toMatch(/^ {2}1 check disk, memory and what the release asks for$/m)
  expect(shown(200)).toMatch(/^ {2}1 check disk, memory and what the release asks for {3,}/m)
  expect(shown(null).split('\n')[1]).toBe(shown(200).split('\n')[1])
})

test('notes keep to the terminal of stderr, commands in them stay whole, and a pipe gets them as they are', () => {
  const prose = `warning: ${'one root and another '.repeat(8)}`.trim()
  const command = `Next: netlink agent enroll --force --server https://updates.example --token-file FILE --trust-root FILE`
  const noted = (isTTY: boolean) => {
    const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 })
    const streams = { stdin: Readable.from([]), stdout: new PassThrough(), stderr, env: {} }
    buildOutput(streams, { json: false, noColor: true }).note(`${prose}\n${command}`)
    return String(stderr.read())
  }
  const lines = noted(true).trimEnd().split('\n')
  expect(lines.at(-1)).toBe(command)
  expect(widest(lines.slice(0, -1).join('\n'))).toBeLessThanOrEqual(80)
  expect(lines.slice(0, -1).join(' ')).toBe(prose)
  expect(noted(false)).toBe(`${prose}\n${command}\n`)
})

test('sentences of the answer keep to the terminal, and what is set apart in them stays whole', () => {
  const said = (isTTY: boolean) => {
    const stdout = Object.assign(new PassThrough(), { isTTY, columns: 40 })
    const streams = { stdin: Readable.from([]), stdout, stderr: new PassThrough(), env: {} }
    buildOutput(streams, { json: false, noColor: true }).say(
      `${'one after another '.repeat(4)}\n  a command ${'x'.repeat(50)}`,
    )
    return String(stdout.read())
  }
  const [command, ...prose] = said(true).trimEnd().split('\n').reverse()
  expect(command).toBe(`  a command ${'x'.repeat(50)}`)
  expect(prose.length).toBeGreaterThan(1)
  expect(widest(prose.join('\n'))).toBeLessThanOrEqual(40)
  expect(said(false).split('\n')).toHaveLength(3)
})
