// Where proposals and signatures meet: what the server takes in, what it leaves out, and that nobody can fill the place up.
import { describe, expect, test } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import type { Signer } from '../../keys/signer.ts'
import { eventIdOf } from '../../keys/signing-event.ts'
import type { EventSignature, SigningEvent } from '../../schema/signing-event.ts'
import { newKey } from './publisher.ts'
import { BY, type CoreWorld, coreWorld } from './world.ts'

/** alpha's next document with 0a1 in it, needing two of three, signed by these. */
async function proposal(world: CoreWorld, by: readonly number[] = [], edit: Partial<SigningEvent> = {}) {
  const { publisher, clock } = world
  const before = publisher.versions.alpha ?? 0
  const signers = by.map((index) => publisher.channelKeys.alpha[index] ?? newKey())
  const { metadata, manifests } = await publisher.release('0a1', { by: signers })
  publisher.versions.alpha = before
  const wire = (ms: number) => `${new Date(clock.now().getTime() + ms).toISOString().slice(0, 19)}Z`
  const inBase64 = (files: Record<string, string>) =>
    Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text).toString('base64')]))
  return named({
    schema: 'netlink.signing-event/v1',
    id: 'e_00000000000000000000000000000000',
    kind: 'release',
    subject: '0a1' as SigningEvent['subject'],
    proposed_by: 'alice',
    proposed_at: wire(0),
    until: wire(7 * 86_400_000),
    base: { root: { version: 1, sha256: 'ab'.repeat(32) }, roles: { targets: 1 } },
    documents: inBase64(metadata),
    manifests: inBase64(manifests),
    artifacts: [],
    trees: {},
    ...edit,
  })
}

function named(event: SigningEvent): SigningEvent {
  const { schema: _schema, id: _id, ...rest } = event
  return { ...event, id: eventIdOf(rest) }
}

function signaturesOf(event: SigningEvent): EventSignature[] {
  return Object.entries(event.documents).flatMap(([role, text]) =>
    parseDocument(Buffer.from(text, 'base64'), role).signatures.map(({ keyid, sig }) => ({ role, keyid, sig })),
  )
}

/** The signatures of these keys over alpha's document of the event. */
async function signaturesBy(event: SigningEvent, ...signers: readonly Signer[]): Promise<EventSignature[]> {
  const bytes = Buffer.from(event.documents.alpha ?? '', 'base64')
  const signed = await signDocument(parseDocument(bytes, 'alpha').signed, signers)
  return parseDocument(signed, 'alpha').signatures.map(({ keyid, sig }) => ({ role: 'alpha', keyid, sig }))
}

async function threeHolders(): Promise<CoreWorld> {
  const world = await coreWorld()
  world.publisher.channelKeys.alpha = [newKey(), newKey(), newKey()]
  world.publisher.channelThreshold = 2
  await world.begin()
  return world
}

describe('a signing event', () => {
  test('is not taken in with lists of files that are not those of its id, so nobody has its place taken', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    const event = await proposal(world, [0], { trees: { ['ab'.repeat(32)]: 'as alice proposes it' } })

    const junk = { ...event, trees: { ['ab'.repeat(32)]: 'junk' } }
    for (const taken of [junk, { ...event, trees: {} }])
      await expect(signingEvents.propose(taken, BY)).rejects.toMatchObject({ code: 'invalid' })

    await signingEvents.propose(event, BY)
    expect((await signingEvents.load(event.id)).event.trees).toEqual(event.trees)
  })

  test('is taken in with the good signatures it has, and gathers others', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    const event = await proposal(world, [0])
    const [first] = signaturesOf(event)

    const summary = await signingEvents.propose(event, BY)
    expect(summary).toMatchObject({ id: event.id, state: 'open', subject: '0a1', aborted: null, signatures: [first] })
    const { event: stored } = await signingEvents.load(event.id)
    expect(signaturesOf(stored)).toEqual([])
    expect(named(stored).id).toBe(event.id)

    const second = await signaturesBy(event, world.publisher.channelKeys.alpha[1] ?? newKey())
    const answer = await signingEvents.sign(event.id, second, BY)
    expect(answer).toMatchObject({ added: 1, known: 0, dropped: 0 })
    expect(answer.summary.signatures).toHaveLength(2)
    expect(await signingEvents.sign(event.id, second, BY)).toMatchObject({ added: 0, known: 1, dropped: 0 })
    expect((await signingEvents.list({})).items.map(({ id }) => id)).toEqual([event.id])
    const { items } = await world.core.audit.list({})
    expect(items.map(({ action }) => action).slice(0, 3)).toEqual(['event.sign', 'event.sign', 'event.propose'])
  })

  test('proposed again is no news; under an id that is not its own it is refused', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    const event = await proposal(world)
    await signingEvents.propose(event, BY)
    expect(await signingEvents.propose(event, BY)).toMatchObject({ id: event.id })
    expect((await signingEvents.list({})).items).toHaveLength(1)
    await expect(signingEvents.propose({ ...event, proposed_by: 'mallory' }, BY)).rejects.toMatchObject({
      code: 'invalid',
      facts: { issues: [{ pointer: '/id' }] },
    })
  })

  test('has no place for junk: what does not verify is dropped, and a good signature is not kept away by it', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    const event = await proposal(world, [0])
    await signingEvents.propose(event, BY)
    const [good] = await signaturesBy(event, world.publisher.channelKeys.alpha[1] ?? newKey())
    const stranger = await signaturesBy(event, newKey())
    const keyid = good?.keyid ?? ''
    const junk: EventSignature[] = [
      ...stranger,
      { role: 'alpha', keyid, sig: 'ab'.repeat(64) },
      { role: 'beta', keyid, sig: good?.sig ?? '' },
      { role: 'root', keyid, sig: good?.sig ?? '' },
    ]
    await expect(signingEvents.sign(event.id, junk, BY)).rejects.toMatchObject({ code: 'unverified' })
    const answer = await signingEvents.sign(event.id, [...junk, ...(good ? [good] : [])], BY)
    expect(answer).toMatchObject({ added: 1, known: 0, dropped: 4 })
    expect(answer.summary.signatures.map((one) => one.keyid)).toContain(keyid)

    // in the documents of a proposal too
    const lied = await proposal(world, [2, 9])
    expect((await signingEvents.propose(lied, BY)).signatures).toHaveLength(1)
  })

  test('is over when it is stopped, expired, published or overtaken, and says which', async () => {
    await using world = await threeHolders()
    const { signingEvents, publication } = world.core
    const { publisher, clock } = world
    const stopped = await proposal(world, [], { proposed_by: 'bob' })
    await signingEvents.propose(stopped, BY)
    const reason = 'a mistake in the changelog'
    expect(await signingEvents.abort(stopped.id, reason, BY)).toMatchObject({ state: 'aborted', aborted: { reason } })
    expect(await signingEvents.abort(stopped.id, 'again', BY)).toMatchObject({ aborted: { reason } })

    const late = await proposal(world, [], { proposed_by: 'carol' })
    await signingEvents.propose(late, BY)
    const event = await proposal(world, [0, 1])
    await signingEvents.propose(event, BY)
    const other = await proposal(world, [], { proposed_by: 'dave' })
    await signingEvents.propose(other, BY)

    clock.advance({ days: 8 })
    const good = signaturesOf(event)
    await expect(signingEvents.sign(late.id, good, BY)).rejects.toMatchObject({ facts: { reason: 'expired' } })
    await expect(signingEvents.sign(stopped.id, good, BY)).rejects.toMatchObject({ facts: { reason: 'aborted' } })

    const text = (bytes: string | undefined) => Buffer.from(bytes ?? '', 'base64').toString('utf8')
    for (const artifact of publisher.artifacts.values()) {
      const { createHash } = await import('node:crypto')
      await world.upload(artifact, createHash('sha256').update(artifact).digest('hex'))
    }
    const manifests = Object.fromEntries(Object.entries(event.manifests).map(([path, one]) => [path, text(one)]))
    await publication.acceptReleases(
      { metadata: { alpha: text(event.documents.alpha) }, manifests, dry_run: false },
      BY,
    )
    expect((await signingEvents.load(event.id)).summary.state).toBe('published')
    expect((await signingEvents.load(other.id)).summary.state).toBe('overtaken')
    await expect(signingEvents.abort(event.id, 'too late', BY)).rejects.toMatchObject({
      facts: { reason: 'published' },
    })
    const again = await proposal(world, [0])
    await expect(signingEvents.propose(again, BY)).rejects.toMatchObject({
      code: 'conflict',
      facts: { reason: 'overtaken', expected: '2', actual: '1' },
    })
  })

  test('is refused when its time is over, to come, or too long; within three months it is not', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    const times = [
      { proposed_at: '2026-11-01T00:00:00Z', until: '2026-11-08T00:00:00Z' },
      { proposed_at: '2026-12-24T00:00:00Z', until: '2026-12-25T00:00:00Z' },
      { proposed_at: '2026-11-23T10:00:00Z', until: '2027-06-01T00:00:00Z' },
    ]
    for (const edit of times) {
      await expect(signingEvents.propose(await proposal(world, [], edit), BY)).rejects.toMatchObject({
        code: 'refused',
      })
    }
    const good = await proposal(world, [], { until: '2027-02-01T00:00:00Z' })
    expect(await signingEvents.propose(good, BY)).toMatchObject({ state: 'open' })
  })

  test('is one of at most 32 open ones; a stopped one makes room, and old ones go', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    const ids: string[] = []
    for (let number = 0; number < 32; number++) {
      const event = await proposal(world, [], { proposed_by: `holder-${number}` })
      ids.push((await signingEvents.propose(event, BY)).id)
    }
    const more = await proposal(world, [0], { proposed_by: 'one-more' })
    await expect(signingEvents.propose(more, BY)).rejects.toMatchObject({
      code: 'conflict',
      facts: { reason: 'too-many' },
    })
    // those that are open go on being signed
    expect(await signingEvents.sign(ids[0] ?? '', signaturesOf(more), BY).catch((error) => error.code)).toBe(
      'unverified',
    )
    await signingEvents.abort(ids[0] ?? '', 'room', BY)
    expect(await signingEvents.propose(more, BY)).toMatchObject({ state: 'open' })

    const page = await signingEvents.list({ limit: 20 })
    const rest = await signingEvents.list({ limit: 20, cursor: page.next_cursor })
    expect(new Set([...page.items, ...rest.items].map(({ id }) => id)).size).toBe(33)
    world.clock.advance({ days: 38 })
    await signingEvents.propose(await proposal(world, [], { proposed_by: 'later' }), BY)
    expect((await signingEvents.list({})).items).toHaveLength(1)
  })

  test('that nobody proposed is not there', async () => {
    await using world = await threeHolders()
    const { signingEvents } = world.core
    for (const ask of [
      () => signingEvents.load('e_0123456789abcdef0123456789abcdef'),
      () => signingEvents.sign('e_0123456789abcdef0123456789abcdef', [], BY),
      () => signingEvents.abort('e_0123456789abcdef0123456789abcdef', 'why', BY),
    ])
      await expect(ask()).rejects.toMatchObject({ code: 'not-found' })
  })
})
