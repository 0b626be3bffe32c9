// The signatures of an authorisation, with real keys: whoever has signed is not asked again, whose keys do not count signs nothing, and no file gets too long for hosts.
import { expect, test } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import type { Keyring } from '../../keys/key-file.ts'
import { generateEd25519, type Signer } from '../../keys/signer.ts'
import type { RoleKeys } from '../../keys/threshold.ts'
import { addHolders } from '../../publisher/authorization/authorization.ts'

/** A holder of one key, and how often it was asked to sign. */
function holderOf(holder: string) {
  const { signer } = generateEd25519()
  const asked = { times: 0 }
  const counting: Signer = {
    publicKey: signer.publicKey,
    sign: (message) => {
      asked.times += 1
      return signer.sign(message)
    },
  }
  const keyring: Keyring = { holder, keys: [], signersFor: () => [counting] }
  return { keyring, asked, publicKey: signer.publicKey }
}

const alice = holderOf('alice')
const bob = holderOf('bob')
const keys: RoleKeys = { role: 'alpha', keys: [alice.publicKey, bob.publicKey], threshold: 2 }
const bare = (reason = 'it eats mail') => signDocument({ _type: 'downgrade-authorization', reason }, [])
const keyidsIn = (bytes: Uint8Array) => parseDocument(bytes).signatures.map(({ keyid }) => keyid)

test('a holder who has signed is not asked for the key again', async () => {
  const first = await addHolders(await bare(), keys, [alice.keyring])
  expect(await addHolders(first, keys, [alice.keyring])).toEqual(first)
  expect(alice.asked.times).toBe(1)
  const both = await addHolders(first, keys, [alice.keyring, bob.keyring])
  expect(keyidsIn(both)).toEqual([alice.publicKey.keyid, bob.publicKey.keyid])
  expect([alice.asked.times, bob.asked.times]).toEqual([1, 1])
})

test('whose key does not count signs nothing and is named', async () => {
  const mallory = holderOf('mallory')
  await expect(addHolders(await bare(), keys, [alice.keyring, mallory.keyring])).rejects.toMatchObject({
    code: 'usage',
    message: 'mallory holds none of the keys that alpha is signed with',
  })
  expect(mallory.asked.times).toBe(0)
  expect(keyidsIn(await addHolders(await bare(), keys, [alice.keyring]))).toEqual([alice.publicKey.keyid])
})

test('what would be too long for a host is not signed into a file', async () => {
  await expect(addHolders(await bare('x'.repeat(32_768)), keys, [bob.keyring])).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(/^an authorisation has at most 32768 bytes, and this one would have 33\d{3}$/),
  })
  expect(keyidsIn(await addHolders(await bare('x'.repeat(32_000)), keys, [bob.keyring]))).toHaveLength(1)
})
