// The screen on which a holder decides belongs to the holder's own program: nothing that a server or a proposer writes clears it, hides a line or renames anybody.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { buildOutput } from '../../publisher/output.ts'
import { createPaint } from '../../schema/cli/paint.ts'
import type { EventRecord, SigningEvent } from '../../schema/signing-event.ts'
import { splitFolders } from './event-folders.ts'
import { openLyingServer, renamed, type Tree, withDocument } from './lying-server.ts'
import { asSigners, openWorld, type PublisherWorld } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]
const FAKE = '\u001b[2J\u001b[H0a2: 2 files, 0 added, 1 changed: server.mjs\u001b[8m'

async function three(): Promise<PublisherWorld> {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world)
  return world
}

async function stickOf(world: PublisherWorld): Promise<SigningEvent> {
  const { repository: _, ...event } = JSON.parse(await readFile(join(world.folder, 'stick.json'), 'utf8'))
  return event
}

function withBase(event: SigningEvent, roles: (before: Record<string, number>) => Record<string, number>) {
  return renamed({ ...event, base: { ...event.base, roles: roles(event.base.roles) } })
}

function recordOf(event: SigningEvent): EventRecord {
  const { documents: _d, manifests: _m, artifacts: _a, trees: _t, ...facts } = event
  return { event, summary: { ...facts, state: 'open', aborted: null, signatures: [] } }
}

test('what an event says it was made from is compared name by name with what is trusted, and never obeyed', async () => {
  const world = await three()
  const proposed = await world.publish('propose', '0a1', '--from', 'app-v1', '--dir', 'alice', '--out', 'stick.json')
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const event = await stickOf(world)
  const server = await openLyingServer(world.port)
  const sign = () => world.answering(true, 'sign', '0a1', '--server', server.url, ...as('bob'))
  const lies: readonly [what: string, roles: (before: Record<string, number>) => Record<string, number>, RegExp][] = [
    ['a name that draws', (roles) => ({ ...roles, [FAKE]: 1 }), /expected the name of a role/],
    ['a role besides', (roles) => ({ ...roles, 'everything.is.well': 1 }), /v1 of everything\.is\.well as its base/],
    ['another number', (roles) => ({ ...roles, alpha: 77 }), /v77 of alpha as its base, and this machine trusts v1/],
    ['a role less', ({ alpha: _, ...roles }) => roles, /nothing of alpha as its base/],
  ]
  for (const [what, roles, words] of lies) {
    server.tell(recordOf(withBase(event, roles)))
    const outcome = await sign()
    expect.soft(outcome.status, what + outcome.stderr).not.toBe(0)
    expect.soft(outcome.stderr, what).toMatch(words)
    expect.soft(outcome.stderr + outcome.stdout, what).not.toContain('\u001b')
    expect.soft(outcome.stderr, what).not.toContain('signed so far')
  }
  server.tell(recordOf(event))
  const signed = await sign()
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  expect(signed.stderr).toMatch(/made from root v1 \([0-9a-f]{16}…\), (targets v1, alpha v1|alpha v1, targets v1), as/)
}, 60_000)

test('names in a root are names, every change of them is shown, and they rename nobody', async () => {
  const world = await three()
  await writeFile(join(world.folder, 'dave.pass'), 'a passphrase of dave\n', { mode: 0o600 })
  await world.publish(
    ...['root', 'add-key', 'dave', '--generate', '--passphrase-file', 'dave=dave.pass', '--dir', 'alice'],
  )
  const proposed = await world.publish('propose', 'root-2', '--dir', 'alice', '--by', 'alice', '--out', 'stick.json')
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const event = await stickOf(world)
  const named = async (edit: (names: Tree, keyids: readonly string[]) => Tree) => {
    const lie = withDocument(event, 'root', (signed) => ({
      ...signed,
      key_names: edit(signed.key_names, signed.roles.root.keyids),
    }))
    await writeFile(join(world.folder, 'lie.json'), JSON.stringify(renamed(lie)))
    await world.publish('root', 'show', '--dir', 'bob')
    return world.answering(false, 'sign', './lie.json', ...as('bob'))
  }
  const drawn = await named((names, [, , carol = '']) => ({ ...names, [carol]: `${FAKE}\u202e` }))
  expect(drawn).toMatchObject({ status: 7, stderr: expect.stringContaining('key_names') })
  for (const character of ['\u001b', '\u202e']) expect(drawn.stderr).not.toContain(character)

  const swapped = await named((names, [alice = '', bob = '']) => ({ ...names, [alice]: 'bob', [bob]: 'alice' }))
  expect(swapped).toMatchObject({ status: 4 })
  expect(swapped.stderr).toContain('names of keys in root')
  expect(swapped.stderr).toMatch(/\+ key ([0-9a-f]{64}): said to be "bob"\n {2}! key \1 is alice's by this folder/)
  expect(swapped.stderr).toMatch(/said to be "alice"\n {2}! key [0-9a-f]{64} is bob's by this folder/)
  expect(swapped.stderr).toMatch(
    /root v2 with present keys: 0 of 2 signatures \(nobody yet\); could sign: alice, bob, carol\n/,
  )
  expect(swapped.stderr).toContain('could sign: alice, bob, carol, said to be dave')

  const plain = await named((names) => names)
  expect(plain).toMatchObject({ status: 4 })
  expect(plain.stderr).toMatch(/names of keys in root\n {2}\+ key [0-9a-f]{64}: said to be "dave"\n/)
  expect(plain.stderr).not.toContain('this folder')
  const twin = await named((names) => Object.fromEntries(Object.keys(names).map((keyid) => [keyid, 'bob'])))
  expect(twin.stderr).toContain('said to be "bob", whom this folder knows by another key')
}, 60_000)

test('a line that is shown stays one line with everything in it visible; an answer keeps our colours and no others', () => {
  const written: string[] = []
  const take = (text: string) => void written.push(text)
  const streams = { stdout: take, stderr: take, columns: null, color: true }
  const output = buildOutput({ streams, clock: systemClock, json: false, events: false })
  output.show(['first', `${FAKE}\nforged: all is well\u202e\u3164`])
  output.answer('x', {}, `${createPaint(true)('good', 'ours')}\n${FAKE}\r\u202etheirs \u26a0\ufe0f`)
  expect(written).toEqual([
    'first\n\\u{1b}[2J\\u{1b}[H0a2: 2 files, 0 added, 1 changed: server.mjs\\u{1b}[8m\\u{a}forged: all is well\\u{202e}\\u{3164}\n',
    '\u001b[32mours\u001b[39m\n\\u{1b}[2J\\u{1b}[H0a2: 2 files, 0 added, 1 changed: server.mjs\\u{1b}[8m\\u{d}\\u{202e}theirs \u26a0\ufe0f\n',
  ])
})
