import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Encrypter } from 'age-encryption'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addKey, createKeyring, KeyFileError, openKeyring, type Protection, removeKeys } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { verifySignature } from '../../keys/signature.ts'
import { utf8 } from '../sim/repository.ts'

const deps = { disk: buildKeyFileDisk(nodeDisk), scryptLogN: 8 }
const secret: Protection = { kind: 'passphrase', passphrase: 'correct horse' }
const plain: Protection = { kind: 'none' }
const entries = [
  { name: 'jana-root', role: 'root' },
  { name: 'jana-alpha', role: 'alpha' },
]

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-keyring-'))
  path = join(folder, 'jana.keyring')
})

afterEach(() => rm(folder, { recursive: true }))

async function failure(act: () => Promise<unknown>): Promise<KeyFileError | PlatformError> {
  try {
    await act()
  } catch (error) {
    if (error instanceof KeyFileError || error instanceof PlatformError) return error
    throw error
  }
  throw new Error('expected a failure, and it worked')
}

describe('a keyring', () => {
  it.each([secret, plain])('opens again with the keys it was made with ($kind)', async (protection) => {
    const made = await createKeyring(deps, path, 'jana', entries, protection)
    const opened = await openKeyring(deps, path, protection.kind === 'none' ? undefined : 'correct horse')
    expect(opened.holder).toBe('jana')
    expect(opened.keys.map(({ name, role, signer }) => [name, role, signer.publicKey.keyid])).toEqual(
      made.keys.map(({ name, role, signer }) => [name, role, signer.publicKey.keyid]),
    )
    const [signer] = opened.signersFor('alpha')
    if (!signer) throw new Error('expected a signer for alpha')
    expect(verifySignature(signer.publicKey, utf8('m'), await signer.sign(utf8('m')))).toBe(true)
    expect(opened.signersFor('beta')).toEqual([])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('shows nothing of its content while it is encrypted', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    const text = await readFile(path, 'latin1')
    expect(text.startsWith('age-encryption.org/v1\n-> scrypt ')).toBe(true)
    expect(text).not.toContain('jana')
    expect(text).not.toContain('netlink.keyring')
  })

  it('is slow to guess unless a test says otherwise', async () => {
    await createKeyring({ disk: deps.disk }, path, 'jana', entries, secret)
    expect(await readFile(path, 'latin1')).toMatch(/^-> scrypt \S+ 16$/m)
  })

  it('is never written over something that is there', async () => {
    await writeFile(path, 'mine')
    expect((await failure(() => createKeyring(deps, path, 'jana', entries, secret))).code).toBe('exists')
    expect(await readFile(path, 'utf8')).toBe('mine')
    expect(await readdir(folder)).toEqual(['jana.keyring'])
  })

  it.each([secret, plain])('takes one more key and stays protected as it was ($kind)', async (protection) => {
    const passphrase = protection.kind === 'none' ? undefined : 'correct horse'
    const made = await createKeyring(deps, path, 'jana', entries, protection)
    const added = await addKey(deps, path, { name: 'jana-beta', role: 'beta' }, passphrase)
    const opened = await openKeyring(deps, path, passphrase)
    expect(opened.keys.map((key) => key.name)).toEqual(['jana-root', 'jana-alpha', 'jana-beta'])
    expect(opened.signersFor('beta')[0]?.publicKey.keyid).toBe(added.signersFor('beta')[0]?.publicKey.keyid)
    expect(opened.signersFor('root')[0]?.publicKey.keyid).toBe(made.signersFor('root')[0]?.publicKey.keyid)
    expect((await readFile(path, 'latin1')).startsWith('age-')).toBe(protection.kind === 'passphrase')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it.each([secret, plain])('loses the keys that are taken out, and stays protected as it was ($kind)', async (kept) => {
    const passphrase = kept.kind === 'none' ? undefined : 'correct horse'
    const made = await createKeyring(deps, path, 'jana', [...entries, { name: 'jana-beta', role: 'beta' }], kept)
    const [root, alpha, beta] = made.keys.map(({ signer }) => signer.publicKey.keyid)
    if (!root || !alpha || !beta) throw new Error('expected three keys')
    const left = await removeKeys(deps, path, [root, beta, 'ab'.repeat(32)], passphrase)
    const opened = await openKeyring(deps, path, passphrase)
    for (const keyring of [left, opened]) {
      expect(keyring.holder).toBe('jana')
      expect(keyring.keys.map(({ name, signer }) => [name, signer.publicKey.keyid])).toEqual([['jana-alpha', alpha]])
    }
    expect((await readFile(path, 'latin1')).startsWith('age-')).toBe(kept.kind === 'passphrase')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('has each name once', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    const before = await readFile(path)
    expect((await failure(() => addKey(deps, path, { name: 'jana-root', role: 'beta' }, 'correct horse'))).code).toBe(
      'duplicate-name',
    )
    expect(await readFile(path)).toEqual(before)
    const twice = [...entries, { name: 'jana-root', role: 'beta' }]
    expect((await failure(() => createKeyring(deps, join(folder, 'b'), 'jana', twice, secret))).code).toBe(
      'duplicate-name',
    )
    expect(await readdir(folder)).toEqual(['jana.keyring'])
  })

  it('is an ordinary age file: what another age program encrypted opens too', async () => {
    await createKeyring(deps, path, 'jana', entries, plain)
    const encrypter = new Encrypter()
    encrypter.setPassphrase('correct horse')
    encrypter.setScryptWorkFactor(10)
    await writeFile(path, await encrypter.encrypt(await readFile(path)))
    expect((await openKeyring(deps, path, 'correct horse')).keys).toHaveLength(2)
  })
})

describe("a keyring that can't be used says why", () => {
  it('a wrong passphrase, and the right one after it', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    const error = await failure(() => openKeyring(deps, path, 'wrong horse'))
    expect(error).toBeInstanceOf(KeyFileError)
    expect([error.code, error.message]).toEqual([
      'wrong-passphrase',
      `${path} can't be decrypted: the passphrase is wrong, or the file is damaged`,
    ])
    await openKeyring(deps, path, 'correct horse')
  })

  it('no passphrase for an encrypted file, or an empty one for a new file', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    expect((await failure(() => openKeyring(deps, path, undefined))).code).toBe('passphrase-needed')
    const empty = { kind: 'passphrase', passphrase: '' } as const
    expect((await failure(() => createKeyring(deps, join(folder, 'b'), 'jana', entries, empty))).code).toBe(
      'passphrase-needed',
    )
    expect(await readdir(folder)).toEqual(['jana.keyring'])
  })

  it.each([0o640, 0o604, 0o660, 0o777])('a file in the clear of mode %o', async (mode) => {
    await createKeyring(deps, path, 'jana', entries, plain)
    await chmod(path, mode)
    expect((await failure(() => openKeyring(deps, path, undefined))).code).toBe('readable-by-others')
    await chmod(path, 0o400)
    await openKeyring(deps, path, undefined)
  })

  it('an encrypted file may lie anywhere', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    await chmod(path, 0o644)
    await openKeyring(deps, path, 'correct horse')
  })

  const spoiled: [what: string, spoil: (text: string) => string][] = [
    ['nothing in it', () => ''],
    ['no JSON', () => 'secret'],
    ['another schema', (text) => text.replace('netlink.keyring/v1', 'netlink.keyring/v2')],
    [
      'a public half of another key',
      (text) => text.replace(/"public": "[0-9a-f]{64}"/, `"public": "${'ab'.repeat(32)}"`),
    ],
    ['a short secret', (text) => text.replace(/"secret": "[0-9a-f]{64}"/, '"secret": "abcd"')],
    ['a name that is a path', (text) => text.replace('jana-root', '../jana')],
  ]
  it.each(spoiled)('%s', async (_, spoil) => {
    await createKeyring(deps, path, 'jana', entries, plain)
    await writeFile(path, spoil(await readFile(path, 'utf8')))
    expect((await failure(() => openKeyring(deps, path, undefined))).code).toBe('not-a-keyring')
  })

  it('a damaged encrypted file', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    const bytes = await readFile(path)
    await writeFile(path, bytes.subarray(0, -1))
    expect((await failure(() => openKeyring(deps, path, 'correct horse'))).code).toBe('wrong-passphrase')
  })

  it('no file', async () => {
    expect((await failure(() => openKeyring(deps, path, 'correct horse'))).code).toBe('not-found')
  })
})
