// Editing root and targets as trees: what is known changes, what is not known stays.
import { describe, expect, test } from 'vitest'
import { generateEd25519 } from '../../keys/signer.ts'
import { firstRoot, firstTargets } from '../../publisher/edit.ts'
import { PublishError } from '../../publisher/publish-error.ts'
import {
  applyDirectorKeys,
  applyNewKey,
  applyOnlineKeys,
  applyRemovedKey,
  applyReplacedKey,
  applyThreshold,
  closeRoot,
  keysNamedFor,
  openRoot,
  type RootDraft,
  roleKeysInRoot,
  roleKeysInTargets,
} from '../../publisher/root/edit.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import { channels } from '../../schema/version.ts'

const NOW = new Date('2026-11-23T10:00:00Z')
const LATER = new Date('2027-02-01T10:00:00Z')
const newKey = () => generateEd25519().signer.publicKey
const objects = (...keys: ReturnType<typeof newKey>[]): JsonObject =>
  Object.fromEntries(keys.map(({ keyid, object }) => [keyid, object]))

const [alice, bob, online, alpha] = [newKey(), newKey(), newKey(), newKey()]

/** Two root keys, one key for each channel, and in both documents a field and a key that nobody here knows. */
function published(): { root: JsonObject; targets: JsonObject } {
  const foreign = newKey()
  const root = firstRoot({
    product: 'demo',
    rootKeys: objects(alice, bob),
    rootThreshold: 1,
    online: { snapshot: objects(online), timestamp: objects(online) },
    now: NOW,
  })
  const keys = { keyids: [alpha.keyid], threshold: 1, keys: objects(alpha) }
  const targets = firstTargets(new Map(channels.map((channel) => [channel, keys])), {}, NOW)
  return {
    root: { ...root, 'x-theirs': { kept: [1, 2] }, keys: { ...(root.keys as JsonObject), ...objects(foreign) } },
    targets: { ...targets, 'x-theirs': 'kept' },
  }
}

const idsOf = (draft: RootDraft, role: 'root' | 'alpha') => keysNamedFor(draft, role).map(({ keyid }) => keyid)
const keyCount = ({ root }: RootDraft) => Object.keys(root.keys as JsonObject).length

describe('a key of a person', () => {
  test('joins root and targets with its name beside it; closing raises the version once and keeps unknown fields', () => {
    const before = published()
    const carol = newKey()
    const draft = applyNewKey(openRoot(before), 'root', carol, 'carol')
    expect(idsOf(draft, 'root')).toEqual([alice.keyid, bob.keyid, carol.keyid])
    expect(keysNamedFor(draft, 'root').map(({ name }) => name)).toEqual([undefined, undefined, 'carol'])
    expect(roleKeysInRoot(draft.root, 'targets').keys.map(({ keyid }) => keyid)).toContain(carol.keyid)
    const closed = closeRoot(draft, { now: LATER })
    expect(closed.map(({ role }) => role)).toEqual(['root'])
    expect(closed[0]?.signed).toMatchObject({
      version: 2,
      expires: '2028-02-01T10:00:00Z',
      product: 'demo',
      'x-theirs': { kept: [1, 2] },
    })
    const again = closeRoot(applyThreshold(openRoot(before, { root: draft.root }), 'root', 2), { now: LATER })
    expect(again[0]?.signed.version).toBe(2)
  })

  test('a channel’s key changes targets, and root goes with it', () => {
    const carol = newKey()
    const draft = applyNewKey(openRoot(published()), 'alpha', carol, 'carol')
    expect(idsOf(draft, 'alpha')).toEqual([alpha.keyid, carol.keyid])
    const closed = closeRoot(draft, { now: LATER })
    expect(closed.map(({ role, signed }) => [role, signed.version])).toEqual([
      ['root', 2],
      ['targets', 2],
    ])
    expect(closed[1]?.signed).toMatchObject({ 'x-theirs': 'kept', key_names: { [carol.keyid]: 'carol' } })
    expect(roleKeysInTargets(draft.targets, 'beta')?.keys).toHaveLength(1)
    expect(roleKeysInTargets(draft.targets, 'gamma')).toBeUndefined()
  })

  test('goes with its name when nobody names it any more; keys that nobody here put there stay', () => {
    const before = published()
    const carol = newKey()
    const joined = applyNewKey(openRoot(before), 'root', carol, 'carol')
    expect(keyCount(joined)).toBe(keyCount(openRoot(before)) + 1)
    const left = applyRemovedKey(joined, 'root', carol.keyid)
    expect(left.root).toEqual(before.root)
    expect(closeRoot(left, { now: LATER })).toEqual([])
    expect(keyCount(applyRemovedKey(joined, 'root', bob.keyid))).toBe(keyCount(openRoot(before)))
    // The channels share one key: it stays as long as one of them names it.
    const shared = applyRemovedKey(openRoot(before), 'alpha', alpha.keyid)
    expect(roleKeysInTargets(shared.targets, 'beta')?.keys).toHaveLength(1)
  })

  test('is refused twice and where it is not; the right one is taken', () => {
    const draft = openRoot(published())
    expect(() => applyNewKey(draft, 'root', alice, 'alice')).toThrow(PublishError)
    expect(() => applyRemovedKey(draft, 'root', newKey().keyid)).toThrow(PublishError)
    expect(() => applyReplacedKey(draft, 'root', { from: alice.keyid, to: bob, name: 'alice' })).toThrow(PublishError)
    const fresh = newKey()
    const after = applyReplacedKey(draft, 'root', { from: alice.keyid, to: fresh, name: 'alice' })
    expect(idsOf(after, 'root')).toEqual([bob.keyid, fresh.keyid])
  })
})

describe('the server’s keys', () => {
  test('are exactly those of the file, and as many as it takes', () => {
    const draft = openRoot(published())
    const fresh = newKey()
    const both = applyOnlineKeys(draft, 'timestamp', objects(online, fresh))
    expect(roleKeysInRoot(both.root, 'timestamp')).toMatchObject({ threshold: 1, keys: [online, fresh] })
    const alone = applyOnlineKeys(both, 'timestamp', objects(fresh))
    expect(roleKeysInRoot(alone.root, 'timestamp').keys).toEqual([fresh])
    expect(roleKeysInRoot(alone.root, 'snapshot').keys).toEqual([online])
    expect(() => applyOnlineKeys(draft, 'timestamp', {})).toThrow(PublishError)
  })

  test('the director joins targets where it was not there, and is replaced where it was', () => {
    const [first, second] = [newKey(), newKey()]
    const draft = applyDirectorKeys(openRoot(published()), objects(first))
    expect(roleKeysInTargets(draft.targets, 'director')).toMatchObject({ threshold: 1, keys: [first] })
    const after = applyDirectorKeys(draft, objects(second))
    expect(roleKeysInTargets(after.targets, 'director')?.keys).toEqual([second])
    expect(roleKeysInTargets(after.targets, 'alpha')?.keys).toEqual([alpha])
  })
})

test('a fresh expiry alone raises what is named and nothing else; nothing edited is nothing to sign', () => {
  const draft = openRoot(published())
  expect(closeRoot(draft, { now: LATER })).toEqual([])
  expect(closeRoot(draft, { now: LATER, also: ['targets'] }).map(({ role }) => role)).toEqual(['targets'])
  expect(closeRoot(draft, { now: LATER, also: ['root', 'targets'] }).map(({ role }) => role)).toEqual([
    'root',
    'targets',
  ])
})
