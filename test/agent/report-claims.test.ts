// Commands that report to a server in foreign hands, and to the recovered one after it: `netlink` as it is, over HTTP.
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { buildAgentWorld } from './agent-world.ts'

const brake = { paused: false, reason: null, since: null }
const REPORTS = '/api/v1/agent/reports'

test.concurrent.each([
  ['further ahead than a host comes unheard', 40_000_000],
  ['all that there is', MAX_STORED_SEQ],
  ['more than there is', Number.MAX_SAFE_INTEGER],
])(
  'a server that claims to have stored %s: the host goes on at the recovered one as if nothing had been said',
  async (_, claim) => {
    await using world = await buildAgentWorld()
    await world.enrol()
    const speak = async () => expect((await world.run('agent', 'set-channel', 'alpha')).status).toBe(0)
    const outbox = async () => JSON.parse(await readFile(join(world.home, 'state', 'outbox.json'), 'utf8'))
    await speak()
    const before = world.reports.map(({ seq }) => seq)
    expect(before).toEqual(before.map((_seq, at) => at + 1))

    const heard: string[] = []
    world.tricks.set(REPORTS, (request: IncomingMessage, response: ServerResponse) => {
      request.on('data', (chunk) => heard.push(String(chunk)))
      request.on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ stored_seq: claim, brake, timestamp_version: 1 }))
      })
    })
    await speak()
    await speak()
    expect(heard.length).toBeGreaterThan(1)
    world.tricks.delete(REPORTS)
    await speak()

    const after = world.reports.map(({ seq }) => seq)
    expect(after.length).toBeGreaterThan(before.length)
    expect(after).toEqual(after.map((_seq, at) => at + 1))
    expect(await outbox()).toMatchObject({ stored: { seq: after.length }, numbered: [], waiting: [], left: null })
  },
  60_000,
)
