// What a keyring says when it can't be used: the code, a sentence that names the file, and below it why.
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addKey, createKeyring, KeyFileError, openKeyring, type Protection } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { ShapeError } from '../../schema/shape-error.ts'

const deps = { disk: buildKeyFileDisk(nodeDisk), scryptLogN: 8 }
const secret: Protection = { kind: 'passphrase', passphrase: 'correct horse' }
const plain: Protection = { kind: 'none' }
const entries = [{ name: 'jana-root', role: 'root' }]

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-keyring-'))
  path = join(folder, 'jana.keyring')
})

afterEach(() => rm(folder, { recursive: true }))

async function errorOf(act: () => Promise<unknown>): Promise<Error> {
  const end = await act().then(
    () => undefined,
    (error: unknown) => error,
  )
  if (end instanceof Error) return end
  throw new Error('expected an error, and it worked')
}

async function told(act: () => Promise<unknown>) {
  const error = await errorOf(act)
  expect(error).toBeInstanceOf(KeyFileError)
  const { name, code, path: file, message, cause } = error as KeyFileError
  expect([name, file]).toEqual(['KeyFileError', path])
  return { code, message, cause }
}

describe('a keyring says', () => {
  it('that it has a key of this name', async () => {
    await createKeyring(deps, path, 'jana', entries, plain)
    const add = (name: string) => () => addKey(deps, path, { name, role: 'beta' }, undefined)
    expect(await told(add('jana-root'))).toEqual({
      code: 'duplicate-name',
      message: `${path} already has a key named jana-root`,
    })
    await add('jana-beta')()
  })

  it('that it needs a passphrase, to be made and to be opened', async () => {
    const make = (passphrase: string) => () =>
      createKeyring(deps, path, 'jana', entries, { kind: 'passphrase', passphrase })
    const code = 'passphrase-needed'
    expect(await told(make(''))).toEqual({ code, message: `${path} needs a passphrase that is not empty` })
    await make('correct horse')()
    const open = (passphrase?: string) => () => openKeyring(deps, path, passphrase)
    expect(await told(open())).toEqual({ code, message: `${path} is encrypted and needs its passphrase` })
    await open('correct horse')()
  })

  it('that it does not open, and what age says to that', async () => {
    await createKeyring(deps, path, 'jana', entries, secret)
    expect(await told(() => openKeyring(deps, path, 'wrong horse'))).toEqual({
      code: 'wrong-passphrase',
      message: `${path} can't be decrypted: the passphrase is wrong, or the file is damaged`,
      cause: expect.any(Error),
    })
    await openKeyring(deps, path, 'correct horse')
  })

  it.each([
    ['0640', 0o640],
    ['0404', 0o404],
    ['0777', 0o4777],
  ])('who may use it: %s', async (found, mode) => {
    await createKeyring(deps, path, 'jana', entries, plain)
    await chmod(path, mode)
    const open = () => openKeyring(deps, path, undefined)
    expect(await told(open)).toEqual({
      code: 'readable-by-others',
      message: `${path} is not encrypted and others may use it: expected mode 0600, found ${found}`,
    })
    await chmod(path, 0o600)
    await open()
  })

  const damages: [what: string, spoil: (text: string) => string, cause: unknown][] = [
    ['no JSON', () => 'secret', { name: 'TrustError', code: 'malformed' }],
    [
      'another schema',
      (text) => text.replace('keyring/v1', 'keyring/v2'),
      { name: 'ShapeError', message: expect.stringContaining('/schema') },
    ],
    [
      'another public half',
      (text) => text.replace(/"public": "[0-9a-f]{64}"/, `"public": "${'ab'.repeat(32)}"`),
      { message: 'key jana-root: its public half does not belong to its secret' },
    ],
  ]
  it.each(damages)('that it is damaged, and where: %s', async (_, spoil, cause) => {
    await createKeyring(deps, path, 'jana', entries, plain)
    const text = await readFile(path, 'utf8')
    await writeFile(path, spoil(text))
    expect(await told(() => openKeyring(deps, path, undefined))).toEqual({
      code: 'not-a-keyring',
      message: `${path} is not a keyring, or is damaged`,
      cause: expect.objectContaining(cause),
    })
    await writeFile(path, text)
    await openKeyring(deps, path, undefined)
  })

  it('what would be wrong in it, before anything is written', async () => {
    const make = (holder: string) => () => createKeyring(deps, path, holder, entries, plain)
    const error = await errorOf(make('../jana'))
    expect(error).toBeInstanceOf(ShapeError)
    expect(error.message).toMatch(/^keyring: \/holder expected /)
    await expect(readFile(path)).rejects.toThrow(/ENOENT/)
    await make('jana')()
  })
})
