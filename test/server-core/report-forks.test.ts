import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { type SignedReport, signedReportShape } from '../../schema/report.ts'
import { MAX_HOLE, MAX_REPORT_SEQ, MAX_STORED_SEQ } from '../../schema/report-number.ts'
import type { Core } from '../../server/core/core.ts'
import { enrol, enrollRequest, enrollToken, inventoryReport, report, type TestHost } from './fleet-of-hosts.ts'
import { BY, type CoreWorld, coreWorld, dbKinds } from './world.ts'

const knownAs = (host: TestHost) => ({ hostId: host.hostId, publicKey: Buffer.from(host.publicKey, 'hex') })
const identityOf = async (core: Core, host: TestHost) => (await core.hosts.show(host.hostId)).identity
const versions = (numbers: readonly number[]) => numbers.map((seq) => inventoryReport(seq, { version: `0a${seq}` }))
const SINGLE = { state: 'single' }

/** A host that has said three things, and a copy of it that remembers the first `common` of them. */
async function copied(world: CoreWorld, common: number) {
  await world.begin()
  const token = await enrollToken(world)
  const host = await enrol(world.core, token, 'web-01')
  const bystander = await enrol(world.core, token, 'web-02')
  await report(world.core, bystander, versions([1]))
  await report(world.core, host, versions([1, 2, 3].slice(0, common)))
  const copy = host.chain.copy()
  await report(world.core, host, versions([1, 2, 3].slice(common)))
  return { host, copy, bystander }
}

describe.each(dbKinds)('a copied identity (%s database)', (kind) => {
  test('shows when one number comes with two contents, and the same content twice is harmless', async () => {
    await using world = await coreWorld(kind)
    const { host, copy, bystander } = await copied(world, 2)
    expect(await report(world.core, host, versions([3]))).toEqual({ storedSeq: 3 })
    expect(await identityOf(world.core, host)).toEqual(SINGLE)

    expect(await report(world.core, host, [inventoryReport(3, { version: '0a9' })], copy)).toEqual({ storedSeq: 3 })

    expect(await identityOf(world.core, host)).toMatchObject({ state: 'forked', kind: 'same_number', seq: 3 })
    expect((await world.core.hosts.show(host.hostId)).inventory).toMatchObject({ version: '0a3' })
    expect(await identityOf(world.core, bystander)).toEqual(SINGLE)
  })

  test('shows when a copy that fell behind goes on after the number that the server told it', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 2)
    await report(world.core, host, versions([4]))
    expect(await identityOf(world.core, host)).toEqual(SINGLE)

    await report(world.core, host, versions([5]), copy)

    expect(await identityOf(world.core, host)).toMatchObject({ state: 'forked', kind: 'broken_chain', seq: 5 })
    expect((await world.core.hosts.history(host.hostId, {})).items.map(({ seq }) => seq)).toEqual([5, 4, 3, 2, 1])
  })

  test('shows when a chain begins anew and the host was not enrolled again', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 3)
    copy.forget('f'.repeat(32))
    await report(world.core, host, versions([4]), copy)
    expect(await identityOf(world.core, host)).toMatchObject({ state: 'forked', kind: 'another_chain', seq: 4 })
  })

  test('shows when both machines speak in one breath', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 3)
    await Promise.all([
      report(world.core, host, versions([4])),
      report(world.core, host, [inventoryReport(4, { version: '0a9' })], copy),
    ])
    expect(await identityOf(world.core, host)).toMatchObject({ state: 'forked', kind: 'same_number', seq: 4 })
  })

  test('is not seen in a hole: what the host said while the server was away is not held against it', async () => {
    await using world = await coreWorld(kind)
    const { host } = await copied(world, 3)
    await host.chain.signAll(versions([4, 5]))
    expect(await report(world.core, host, versions([6]))).toEqual({ storedSeq: 6 })
    expect(await identityOf(world.core, host)).toEqual(SINGLE)
  })

  test('shows when it jumps to a number that no host comes to, and takes the host none of its numbers', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 3)
    const longest = 3 + 1 + MAX_HOLE
    const far = [inventoryReport(longest + 1, { version: '0a9' }), inventoryReport(MAX_STORED_SEQ, { version: '0a9' })]

    expect(await report(world.core, host, far, copy)).toEqual({ storedSeq: 3 })

    expect(await identityOf(world.core, host)).toMatchObject({ state: 'forked', kind: 'number_jump', seq: longest + 1 })
    expect(await report(world.core, host, versions([4]))).toEqual({ storedSeq: 4 })
    expect((await world.core.hosts.show(host.hostId)).inventory).toMatchObject({ version: '0a4' })
    expect((await world.core.audit.list({ action: 'host.forked' })).items).toMatchObject([
      { after: { kind: 'number_jump', detail: expect.stringContaining('was not stored') } },
    ])
  })

  test('is not seen in the longest hole', async () => {
    await using world = await coreWorld(kind)
    const { host } = await copied(world, 3)
    await host.chain.signAll(versions([4]))
    const longest = 3 + 1 + MAX_HOLE
    expect(await report(world.core, host, [inventoryReport(longest)])).toEqual({ storedSeq: longest })
    expect(await identityOf(world.core, host)).toEqual(SINGLE)
  })

  test('shows when a number comes that its chain had passed over, and not where numbers were swept', async () => {
    await using world = await coreWorld(kind)
    const { host, copy, bystander } = await copied(world, 3)
    await host.chain.signAll(versions([4]))
    await report(world.core, host, versions([5]))
    expect(await identityOf(world.core, host)).toEqual(SINGLE)
    expect(await report(world.core, host, versions([4]), copy)).toEqual({ storedSeq: 5 })
    expect(await identityOf(world.core, host)).toMatchObject({ state: 'forked', kind: 'passed_number', seq: 4 })

    const once = await bystander.chain.signAll(versions([2, 3]))
    await world.core.reports.ingest(knownAs(bystander), once)
    await world.db.queries.execute(sql`delete from host_events where host_id = ${bystander.hostId} and seq < 3`)
    expect(await world.core.reports.ingest(knownAs(bystander), once)).toEqual({ storedSeq: 3 })
    expect(await identityOf(world.core, bystander)).toEqual(SINGLE)
  })

  test('jumps, is forgotten with its host, and numbers begin at 1 again; enrolled with another token they go on', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 3)
    const { core } = world
    await report(core, host, [inventoryReport(3 + MAX_HOLE)], copy)
    const enrolAgain = async () => core.enrolment.enroll(await enrollRequest(host, await enrollToken(world), 'web-01'))
    expect((await enrolAgain()).stored_seq).toBe(3 + MAX_HOLE)
    host.chain.forget('a'.repeat(32))
    await report(core, host, versions([4 + MAX_HOLE]))
    expect(await identityOf(core, host)).toEqual(SINGLE)

    await core.hosts.forget(host.hostId, BY)
    expect((await enrolAgain()).stored_seq).toBe(0)
    host.chain.forget('b'.repeat(32))
    expect(await report(core, host, versions([1]))).toEqual({ storedSeq: 1 })
    expect(await identityOf(core, host)).toEqual(SINGLE)
  })

  test('is named in lists, counts and the audit log, once a day', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 2)
    const { core } = world
    expect((await core.fleet.summary()).forked).toBe(0)
    for (const version of ['0a8', '0a9']) await report(core, host, [inventoryReport(3, { version })], copy)
    expect((await core.fleet.summary()).forked).toBe(1)
    const named = async (where: string) => (await core.hosts.list({ where })).items.map(({ name }) => name)
    expect(await named('identity=forked')).toEqual(['web-01'])
    expect(await named('identity=single')).toEqual(['web-02'])
    const entries = async () => (await core.audit.list({ action: 'host.forked' })).items
    expect(await entries()).toMatchObject([
      { subject: host.hostId, actor: { kind: 'server' }, after: { kind: 'same_number', seq: 3 } },
    ])
    world.clock.advance({ hours: 25 })
    await report(core, host, [inventoryReport(3, { version: '0a7' })], copy)
    expect(await entries()).toHaveLength(2)
    await core.hosts.forget(host.hostId, BY)
    expect((await core.fleet.summary()).forked).toBe(0)
  })

  test('is over when the host is enrolled again, and comes back with the copy', async () => {
    await using world = await coreWorld(kind)
    const { host, copy } = await copied(world, 2)
    const { core } = world
    await report(core, host, [inventoryReport(3, { version: '0a8' })], copy)

    const answer = await core.enrolment.enroll(await enrollRequest(host, await enrollToken(world), 'web-01'))

    expect(answer.stored_seq).toBe(3)
    expect(await identityOf(core, host)).toEqual(SINGLE)
    host.chain.forget('a'.repeat(32))
    await report(core, host, versions([4, 5]))
    expect(await identityOf(core, host)).toEqual(SINGLE)
    await report(core, host, versions([6]), copy)
    expect(await identityOf(core, host)).toMatchObject({ state: 'forked', kind: 'another_chain', seq: 6 })
    await core.hosts.forget(host.hostId, BY)
    await core.enrolment.enroll(await enrollRequest(host, await enrollToken(world), 'web-01'))
    host.chain.forget('b'.repeat(32))
    await report(core, host, versions([1]))
    expect(await identityOf(core, host)).toEqual(SINGLE)
  })

  test('is not told away by the token that the host came with: a second use is taken', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const token = await enrollToken(world, { uses: 2 })
    const host = await enrol(world.core, token, 'web-01')
    const again = async () => world.core.enrolment.enroll(await enrollRequest(host, token, 'web-01'))
    const left = async () => (await world.core.tokens.list({})).items[0]?.uses_left
    await again()
    expect(await left()).toBe(1)
    await report(world.core, host, versions([1]))
    await again()
    expect(await left()).toBe(0)
    await report(world.core, host, versions([2]))
    await expect(again()).rejects.toMatchObject({ facts: { reason: 'used-token' } })
  })
})

describe('a report that its host did not sign', () => {
  const other = (digit: string) => (digit === '0' ? '1' : '0')
  const flip = (text: string, at: number) => text.slice(0, at) + other(text[at] ?? '') + text.slice(at + 1)
  const changes: [string, (signed: SignedReport) => SignedReport][] = [
    ['its number', (signed) => ({ ...signed, seq: signed.seq + 1 })],
    ['its time', (signed) => ({ ...signed, at: '2026-11-23T10:00:01Z' })],
    ['its chain', (signed) => ({ ...signed, epoch: flip(signed.epoch, 0) })],
    ['what it follows', (signed) => ({ ...signed, previous: flip(signed.previous ?? '', 5) })],
    ['that it follows anything', (signed) => ({ ...signed, previous: null })],
    ['one letter of what it says', (signed) => ({ ...signed, body: signed.body.replace('0a4', '0a5') })],
    ['one space in what it says', (signed) => ({ ...signed, body: signed.body.replace(',', ', ') })],
    ['its signature', (signed) => ({ ...signed, signature: flip(signed.signature, 100) })],
  ]

  test.each(changes)('is refused where somebody changed %s; nothing that came with it is stored', async (_, change) => {
    await using world = await coreWorld()
    const { host } = await copied(world, 3)
    const [four, five] = await host.chain.signAll(versions([4, 5]))
    if (!four || !five) return expect.fail()
    const refused = world.core.reports.ingest(knownAs(host), [five, change(four)])
    await expect(refused).rejects.toMatchObject({ code: 'unverified', facts: { reason: 'report-signature' } })
    expect((await world.core.hosts.history(host.hostId, {})).items.map(({ seq }) => seq)).toEqual([3, 2, 1])
    expect(await world.core.reports.ingest(knownAs(host), [four, five])).toEqual({ storedSeq: 5 })
    expect(await identityOf(world.core, host)).toEqual(SINGLE)
  })

  test('is refused when it is another host’s, and the same again from its own is harmless', async () => {
    await using world = await coreWorld()
    const { host, bystander } = await copied(world, 3)
    const four = await host.chain.signAll(versions([4]))
    await expect(world.core.reports.ingest(knownAs(bystander), four)).rejects.toMatchObject({ code: 'unverified' })
    await world.core.reports.ingest(knownAs(host), four)
    await world.core.reports.ingest(knownAs(host), four)
    expect(await identityOf(world.core, host)).toEqual(SINGLE)
  })

  test('is kept with what the host signed, letter by letter, so that anybody can check it again', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    const [plain] = await host.chain.signAll([inventoryReport(1, { waiting_detail: 'späte  "Züge"\n' })])
    if (!plain) return expect.fail()
    await world.core.reports.ingest(knownAs(host), [plain])
    const [event] = (await world.core.hosts.history(host.hostId, {})).items
    expect(event?.signed).toEqual(plain)
  })
})

test('no report has a number from which nobody could count on', async () => {
  await using world = await coreWorld()
  const { host } = await copied(world, 3)
  const [good, bad] = await host.chain.signAll([inventoryReport(MAX_REPORT_SEQ), inventoryReport(MAX_REPORT_SEQ + 1)])
  expect(signedReportShape.safeParse(good).success).toBe(true)
  expect(signedReportShape.safeParse(bad).error?.issues[0]?.path).toEqual(['seq'])
  expect(Number.isSafeInteger(2 * MAX_REPORT_SEQ)).toBe(true)
})
