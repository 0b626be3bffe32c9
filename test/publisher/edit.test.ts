import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { loadTrusted, refresh } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import { buildEd25519Signer, type Signer } from '../../keys/signer.ts'
import {
  applyReinstatement,
  applyRelease,
  applyWithdrawal,
  type ChannelDraft,
  type ChannelKeys,
  closeChannel,
  openChannel,
  releasesIn,
  versionsIn,
} from '../../publisher/edit.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion, type Version } from '../../schema/version.ts'
import { SimRepository, utf8 } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'

const NOW = new Date('2026-11-23T10:00:00Z')
const LATER = new Date('2027-02-01T10:00:00Z')
const v = parseVersion

describe('a channel over twenty-one releases and more', () => {
  test('the 21st oldest moves to its line role, and a refresh still finds every manifest', async () => {
    const world = await World.create()
    for (let minor = 1; minor <= 21; minor++) await world.release(`0a${minor}`)

    const trusted = await world.refresh()
    const alpha = await trusted.loadChannel('alpha')
    expect(alpha.value.targets.size).toBe(20)
    expect(alpha.value.targets.has(manifestPath(v('0a1')))).toBe(false)
    expect((await trusted.findTarget(manifestPath(v('0a1')))).role).toBe('alpha-0-0')
    expect((await trusted.findTarget(manifestPath(v('0a21')))).role).toBe('alpha')
    for (let minor = 1; minor <= 21; minor++) {
      const version = v(`0a${minor}`)
      expect((await verifyManifest(trusted, world.repo.targets, version)).value.version).toBe(version)
    }
  })

  test('with exactly twenty nothing moves and nothing is delegated', async () => {
    const world = await World.create()
    for (let minor = 1; minor <= 20; minor++) await world.release(`0a${minor}`)
    expect([...world.draft.lines.keys()]).toEqual([])
    expect((await (await world.refresh()).loadChannel('alpha')).value.delegations).toBeUndefined()
  })

  test('old releases spread over the line roles of their blocks and majors', async () => {
    const world = await World.create()
    const versions = [
      '0a1',
      '0a49',
      '0a50',
      '0a99+hotfix.1',
      '0a100',
      '1a1',
      ...numbers(2, 21).map((minor) => `1a${minor}`),
    ]
    for (const version of versions) await world.release(version)

    expect([...world.draft.lines.keys()].sort()).toEqual(['alpha-0-0', 'alpha-0-100', 'alpha-0-50', 'alpha-1-0'])
    const trusted = await world.refresh()
    const role = async (version: string) => (await trusted.findTarget(manifestPath(v(version)))).role
    expect(await role('0a49')).toBe('alpha-0-0')
    expect(await role('0a50')).toBe('alpha-0-50')
    expect(await role('0a99+hotfix.1')).toBe('alpha-0-50')
    expect(await role('1a1')).toBe('alpha-1-0')
    expect(await role('1a2')).toBe('alpha')
    expect([...versionsIn(world.draft)].sort()).toEqual([...versions].sort())
    expect(releasesIn(world.draft)).toHaveLength(versions.length)
  })

  test('a line role is signed again only when it changes, and its version goes up by one', async () => {
    const world = await World.create()
    for (let minor = 1; minor <= 21; minor++) await world.release(`0a${minor}`)
    expect(world.lastClosed).toEqual(['alpha v22', 'alpha-0-0 v1'])
    await world.release('0a22')
    expect(world.lastClosed).toEqual(['alpha v23', 'alpha-0-0 v2'])
    await world.withdraw('0a5')
    expect(world.lastClosed).toEqual(['alpha v24'])
  })

  test('what agents must know of old versions stays in the channel role', async () => {
    const world = await World.create()
    await world.release('0a1', { barrier: { reason: 'new disk layout' }, deadEnd: { reason: 'no way on' } })
    for (let minor = 2; minor <= 25; minor++) await world.release(`0a${minor}`)
    await world.withdraw('0a3')

    const { channel } = (await (await world.refresh()).loadChannel('alpha')).value
    expect(channel.barriers).toEqual([{ version: '0a1', reason: 'new disk layout' }])
    expect(channel.dead_ends).toEqual([{ version: '0a1', reason: 'no way on' }])
    expect(channel.withdrawn.map(({ version }) => version)).toEqual(['0a3'])
  })

  test('a line role that would soon expire is signed along', async () => {
    const world = await World.create()
    for (let minor = 1; minor <= 21; minor++) await world.release(`0a${minor}`)
    const ten_months_on = new Date(NOW.getTime() + 310 * 86_400_000)
    expect(closeChannel(world.draft, ten_months_on).map(({ role }) => role)).toEqual(['alpha', 'alpha-0-0'])
    expect(closeChannel(world.draft, LATER).map(({ role }) => role)).toEqual(['alpha'])
  })

  test('when targets names other keys for the channel, its lines are delegated to those and signed again', async () => {
    const world = await World.create()
    for (let minor = 1; minor <= 22; minor++) await world.release(`0a${minor}`)
    const [first] = world.signers
    const keys = keysOf([first ?? fail(), buildEd25519Signer(new Uint8Array(32).fill(9))], 2)
    const rekeyed = openChannel('alpha', keys, world.draft.role, world.draft.lines)
    const closed = closeChannel(rekeyed, LATER)
    expect(closed.map(({ role }) => role)).toEqual(['alpha', 'alpha-0-0'])
    const delegations = closed[0]?.signed.delegations as unknown as { roles: { threshold: number; keyids: string[] }[] }
    expect(delegations.roles[0]).toMatchObject({ threshold: 2, keyids: keys.keyids })
  })
})

describe('a release that a thief named as high as names go', () => {
  const HIGHEST = `999999999999999a999999999999999+${'z'.repeat(64)}`

  test('blocks what comes below it until it is withdrawn; its version is never free again', async () => {
    const world = await World.create()
    for (const version of ['0a1', HIGHEST]) await world.release(version)
    const notNewer = expect.objectContaining({ code: 'not-newer' })
    expect(() => applyRelease(world.draft, world.manifest('0a2'))).toThrowError(notNewer)
    await world.withdraw(HIGHEST)
    await world.release('0a2')
    for (const version of ['0a1', '0a1+hotfix', '0a2', HIGHEST])
      expect(() => applyRelease(world.draft, world.manifest(version)), version).toThrowError(notNewer)
    await world.release('0a3')
    const { targets } = (await (await world.refresh()).loadChannel('alpha')).value
    expect([...targets.keys()]).toEqual(['0a1', '0a2', '0a3'].map((one) => manifestPath(v(one))))
  })

  test('moves to its line with the next release, so that no host waits for it and thirty of them hide nothing', async () => {
    const world = await World.create()
    await world.release('0a1')
    const stolen = numbers(1, 30).map((minor) => `${minor}a9`)
    for (const version of stolen) await world.release(version)
    for (const version of stolen) await world.withdraw(version)
    await world.release('0a2')

    const trusted = await world.refresh()
    const alpha = await trusted.loadChannel('alpha')
    expect([...alpha.value.targets.keys()]).toEqual([manifestPath(v('0a2'))])
    expect(alpha.value.channel.withdrawn).toHaveLength(30)
    for (const version of [...stolen, '0a1'])
      expect((await trusted.findRelease(v(version))).role).toBe(`alpha-${version.split('a')[0]}-0`)
    expect(new Set(versionsIn(world.draft))).toEqual(new Set(['0a1', '0a2', ...stolen]))
  })

  test('is offered again when its withdrawal is taken back, as an honest mistake may be', async () => {
    const world = await World.create()
    for (const version of ['0a1', '0a9']) await world.release(version)
    await world.withdraw('0a9')
    await world.release('0a2')
    await world.reinstate('0a9')
    const trusted = await world.refresh()
    expect([...(await trusted.loadChannel('alpha')).value.targets.keys()]).toContain(manifestPath(v('0a9')))
    expect((await trusted.findRelease(v('0a9'))).role).toBe('alpha')
    expect([...versionsIn(world.draft)].sort()).toEqual(['0a1', '0a2', '0a9'])
    expect(releasesIn(world.draft)).toHaveLength(3)
    expect(() => applyRelease(world.draft, world.manifest('0a3'))).toThrowError(/already holds 0a9/)
    await world.release('0a10')
  })
})

describe('what an edit refuses', () => {
  test.each([
    ['the same version', '0a5', /already holds 0a5/],
    ['an older one', '0a4', /already holds 0a5, and 0a4 is not newer/],
    ['one between', '0a4+hotfix.1', /not newer/],
    ['an old one that lies in a line role', '0a1', /not newer/],
  ])('%s', async (_what, version, message) => {
    const world = await World.create()
    for (const held of ['0a1', '0a3', '0a5']) await world.release(held)
    expect(() => applyRelease(world.draft, world.manifest(version))).toThrowError(
      expect.objectContaining({ name: 'PublishError', code: 'not-newer', message: expect.stringMatching(message) }),
    )
    expect(versionsIn(applyRelease(world.draft, world.manifest('0a5+hotfix.1')))).toContain('0a5+hotfix.1')
  })

  test('a version of another channel', async () => {
    const world = await World.create()
    expect(() => applyRelease(world.draft, world.manifest('0b1'))).toThrowError(
      expect.objectContaining({ code: 'usage' }),
    )
    expect(versionsIn(applyRelease(world.draft, world.manifest('0a1')))).toEqual(['0a1'])
  })

  test('withdrawing what was never published, and taking back what was not withdrawn', async () => {
    const world = await World.create()
    await world.release('0a1')
    const unknown = expect.objectContaining({ code: 'unknown-version' })
    expect(() => applyWithdrawal(world.draft, withdrawal('0a2'))).toThrowError(unknown)
    expect(() => applyReinstatement(world.draft, v('0a1'))).toThrowError(unknown)
    const withdrawn = applyWithdrawal(world.draft, withdrawal('0a1'))
    expect(channelFacts(applyReinstatement(withdrawn, v('0a1'))).withdrawn).toEqual([])
  })

  test('replacing a version with itself', async () => {
    const world = await World.create()
    await world.release('0a1')
    expect(() => applyWithdrawal(world.draft, { ...withdrawal('0a1'), replaceWith: v('0a1') })).toThrowError(
      /can't replace itself/,
    )
  })
})

describe('editing keeps', () => {
  test('fields that this program does not know, everywhere in the document', async () => {
    const world = await World.create()
    await world.release('0a1')
    const { role } = world.draft
    const facts = role.channel as JsonObject
    const foreign = { ...role, x_future: { deep: ['kept'] }, channel: { ...facts, x_mirror: true } }
    const draft = applyRelease(openChannel('alpha', world.keys, foreign, new Map()), world.manifest('0a2'))
    const [closed] = closeChannel(draft, NOW)
    expect(closed?.signed).toMatchObject({ x_future: { deep: ['kept'] }, channel: { x_mirror: true } })
  })

  test('one withdrawal for each version: the newest words count', async () => {
    const world = await World.create()
    await world.release('0a1')
    const twice = applyWithdrawal(applyWithdrawal(world.draft, withdrawal('0a1')), {
      ...withdrawal('0a1'),
      reason: 'worse',
    })
    expect(channelFacts(twice).withdrawn).toMatchObject([{ version: '0a1', reason: 'worse' }])
  })

  test('closing gives the next version and a fresh expiry, 90 days for a channel and 365 for a line', async () => {
    const world = await World.create()
    for (let minor = 1; minor <= 21; minor++) await world.release(`0a${minor}`)
    const closed = closeChannel(applyRelease(world.draft, world.manifest('0a22')), NOW)
    expect(closed.map(({ role, signed }) => [role, signed.version, signed.expires])).toEqual([
      ['alpha', 23, '2027-02-21T10:00:00Z'],
      ['alpha-0-0', 2, '2027-11-23T10:00:00Z'],
    ])
  })
})

test('what has expired can be read to be edited, and is refused to everybody else', async () => {
  const world = await World.create()
  await world.release('0a1')
  const store = new SimTrustStore(world.repo.file('1.root.json'))
  await (await refresh({ source: world.repo, store, startedAt: NOW })).loadChannel('alpha')
  const late = new Date(NOW.getTime() + 91 * 86_400_000)
  const expired = loadTrusted({ store, startedAt: late, expiry: 'enforce' })
  await expect(expired).rejects.toMatchObject({ code: 'expired' })
  const shown = await loadTrusted({ store, startedAt: late, expiry: 'report' })
  expect((await shown.loadChannel('alpha')).value.targets.size).toBe(1)
})

// ---- the world of these tests ------------------------------------------------------------------------------------------------------

/** A simulated repository whose channel alpha is written by the publisher's own editor, signed with real keys. */
class World {
  readonly repo: SimRepository
  readonly signers: readonly Signer[]
  readonly keys: ChannelKeys
  draft: ChannelDraft
  lastClosed: readonly string[] = []

  private constructor(repo: SimRepository) {
    this.repo = repo
    this.signers = repo.signersOf('alpha')
    this.keys = keysOf(this.signers, 1)
    const start = parseDocument(repo.file('1.alpha.json')).signed
    this.draft = openChannel('alpha', this.keys, start, new Map())
  }

  static async create(): Promise<World> {
    return new World(await SimRepository.create({ now: NOW }))
  }

  refresh() {
    return refresh({ source: this.repo, store: new SimTrustStore(this.repo.file('1.root.json')), startedAt: NOW })
  }

  /** What the publisher signs about a version; its bytes are served from now on. */
  manifest(text: string, facts: Partial<Parameters<typeof applyRelease>[1]> = {}): Parameters<typeof applyRelease>[1] {
    const version = v(text)
    const bytes = utf8(JSON.stringify(this.repo.manifest(version)))
    const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
    const folder = `${text.includes('b') ? 'beta' : 'alpha'}/${encodeURIComponent(version)}`
    this.repo.targetFiles.set(`${folder}/${digest('sha256')}.manifest.json`, bytes)
    return {
      custom: { version, platforms: ['any'], released_at: '2026-11-23T10:00:00Z' },
      length: bytes.length,
      sha256: digest('sha256'),
      sha512: digest('sha512'),
      barrier: null,
      deadEnd: null,
      ...facts,
    }
  }

  async release(text: string, facts: Partial<Parameters<typeof applyRelease>[1]> = {}): Promise<void> {
    await this.publish(applyRelease(this.draft, this.manifest(text, facts)))
  }

  async withdraw(text: string): Promise<void> {
    await this.publish(applyWithdrawal(this.draft, withdrawal(text)))
  }

  async reinstate(text: string): Promise<void> {
    await this.publish(applyReinstatement(this.draft, v(text)))
  }

  /** Closes, signs, serves and seals, and opens again what was signed. */
  private async publish(draft: ChannelDraft): Promise<void> {
    const closed = closeChannel(draft, NOW)
    this.lastClosed = closed.map(({ role, signed }) => `${role} v${signed.version}`)
    const lines = new Map(draft.lines)
    let role = draft.role
    for (const one of closed) {
      this.repo.files.set(`${one.signed.version}.${one.role}.json`, await signDocument(one.signed, this.signers))
      this.repo.snapshotMeta[`${one.role}.json`] = { version: Number(one.signed.version) }
      if (one.role === 'alpha') role = one.signed
      else lines.set(one.role, one.signed)
    }
    await this.repo.seal()
    this.draft = openChannel('alpha', this.keys, role, lines)
  }
}

function keysOf(signers: readonly Signer[], threshold: number): ChannelKeys {
  const entries = signers.map(({ publicKey }) => [publicKey.keyid, publicKey.object] as const)
  return { keyids: entries.map(([keyid]) => keyid), threshold, keys: Object.fromEntries(entries) }
}

function withdrawal(text: string) {
  const version: Version = v(text)
  return { version, reason: 'broken', severity: 'high', replaceWith: null, at: '2026-11-23T10:00:00Z' } as const
}

function channelFacts(draft: ChannelDraft): { withdrawn: unknown[] } {
  return draft.role.channel as unknown as { withdrawn: unknown[] }
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function fail(): never {
  throw new Error('the simulated repository has no signer for alpha')
}
