// A key in a token: Debian's softhsm2 behind OpenSC's pkcs11-tool, as a hardware token would be. Skipped in one line where they are not installed.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openWorld, type PublisherWorld, versionsOf } from './world.ts'

const MODULE = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'].find((path) =>
  existsSync(path),
)
const TOOLS = ['pkcs11-tool', 'softhsm2-util'].every((name) =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name))),
)
const isInstalled = MODULE !== undefined && TOOLS
if (!isInstalled) console.log('skipped: no softhsm2 and opensc here (apt-get install softhsm2 opensc)')

const PIN = 'pin-of-bob'

test.skipIf(!isInstalled)(
  'a P-256 key in a token signs the first root and releases, and every wrong turn is named',
  async () => {
    const { world, environment } = await openTokenWorld()
    const importing = (...args: readonly string[]) =>
      world.publish('keys', 'import', '--name', 'bob', '--pkcs11-module', MODULE ?? '', ...args)
    const good = ['--token', 'releases', '--key', 'p256', '--pin-file', 'bob.pin']
    expect(await importing('--token', 'others', '--key', 'p256', '--pin-file', 'bob.pin')).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('E-SIGNER-NO-TOKEN'),
    })
    expect(await importing('--token', 'releases', '--key', 'none', '--pin-file', 'bob.pin')).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('E-SIGNER-NO-KEY'),
    })
    expect(await importing('--token-serial', '00', '--key', 'p256', '--pin-file', 'bob.pin')).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('serial number 00'),
    })
    expect(await importing('--token', 'releases', '--key', 'p256', '--pin-file', 'bad.pin')).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('E-SIGNER-WRONG-PIN'),
    })
    expect(await importing('--token', 'releases', '--key', 'p256', '--key-id', '01')).toMatchObject({ status: 2 })
    expect(await importing(...good, '--public', 'alien.pem')).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('E-MISMATCH'),
    })
    await expect(stat(join(world.folder, 'pub', 'keys', 'bob.signers.yml'))).rejects.toThrow()

    const imported = await importing(...good)
    expect(imported, imported.stderr).toMatchObject({ status: 0 })
    const checked = await world.publish('keys', 'check', 'bob')
    expect(checked, checked.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('pkcs11, signs') })
    const made = await world.init([], '--signers', 'bob')
    expect(made, made.stderr).toMatchObject({ status: 0 })
    const release = (version: string) => world.publish('release', version, '--from', 'app-v1', '--signer', 'bob')

    const signers = join(world.folder, 'pub', 'keys', 'bob.signers.yml')
    const written = await readFile(signers, 'utf8')
    expect(written).not.toContain(PIN)
    const turns: readonly (readonly [change: string, to: string, status: number, code: string])[] = [
      ['bob.pin', 'bad.pin', 5, 'E-SIGNER-WRONG-PIN'],
      ['key: p256', 'key: other', 7, 'E-SIGNER-WRONG-SIGNATURE'],
      ['key: p256', 'key: ed25519', 3, 'E-SIGNER-PROGRAM-FAILED'],
      ['token: releases', 'token: others', 6, 'E-SIGNER-NO-TOKEN'],
      [MODULE ?? '', '/nowhere/module.so', 6, 'E-SIGNER-NO-TOKEN'],
      ['program: pkcs11-tool', 'program: pkcs11-toll', 2, 'E-SIGNER-PROGRAM-MISSING'],
      [`pin_file: ${join(world.folder, 'bob.pin')}`, 'pin_env: NO_SUCH_PIN', 5, 'E-SIGNER-WRONG-PIN'],
    ]
    for (const [change, to, status, code] of turns) {
      expect(written).toContain(change)
      await writeFile(signers, written.replaceAll(change, to))
      const refused = await release('0a1')
      expect(refused, to).toMatchObject({ status, stderr: expect.stringContaining(code) })
      expect(refused.stderr).toContain('Nothing was published.')
      expect(refused.stderr + refused.stdout).not.toContain(PIN)
    }
    expect(await versionsOf(world)).toEqual([])

    await writeFile(signers, written)
    const released = await release('0a1')
    expect(released, released.stderr).toMatchObject({ status: 0 })
    // The same token by its serial number, the key by its id, and the PIN from a variable.
    environment.BOB_PIN = PIN
    const again = await importing(
      '--token-serial',
      await serialOf(environment),
      '--key-id',
      '01',
      '--pin-env',
      'BOB_PIN',
    )
    expect(again, again.stderr).toMatchObject({ status: 0 })
    const promoted = await world.publish('promote', '0a1', '--to', 'beta', '--signer', 'bob')
    expect(promoted, promoted.stderr).toMatchObject({ status: 0 })
    expect([...(await versionsOf(world))].sort()).toEqual(['0a1', '0b1'])
  },
  120_000,
)

test.skipIf(!isInstalled)(
  'an Ed25519 key in a token signs, or says why pkcs11-tool can not pass on a whole document',
  async () => {
    const { world } = await openTokenWorld()
    const imported = await world.publish(
      ...['keys', 'import', '--name', 'bob', '--pkcs11-module', MODULE ?? ''],
      ...['--token', 'releases', '--key', 'ed25519', '--pin-file', 'bob.pin', '--json'],
    )
    expect(imported, imported.stderr).toMatchObject({ status: 0 })
    // Longer than one read of pkcs11-tool 0.23, as every signed root is; later versions may take it.
    const checked = await world.publish('keys', 'check', 'bob')
    if (checked.status === 0) return expect(checked.stdout).toContain('pkcs11, signs')
    expect(checked).toMatchObject({ status: 3, stderr: expect.stringContaining('E-SIGNER-TOO-LONG') })
    expect(checked.stderr).toContain('use a P-256 key, or exec')
  },
  60_000,
)

/** A world with a token that holds one key of each kind. */
async function openTokenWorld(): Promise<{ world: PublisherWorld; environment: NodeJS.ProcessEnv }> {
  const environment: NodeJS.ProcessEnv = { PATH: process.env.PATH }
  const world = await openWorld({ environment })
  const tokens = join(world.folder, 'tokens')
  await mkdir(tokens)
  environment.SOFTHSM2_CONF = join(world.folder, 'softhsm2.conf')
  await writeFile(environment.SOFTHSM2_CONF, `directories.tokendir = ${tokens}\nobjectstore.backend = file\n`)
  await writeFile(join(world.folder, 'bob.pin'), `${PIN}\n`, { mode: 0o600 })
  await writeFile(join(world.folder, 'bad.pin'), '0000\n', { mode: 0o600 })
  await writeFile(join(world.folder, 'alien.pem'), ALIEN)
  await inToken(environment, 'softhsm2-util', [
    ...['--init-token', '--free', '--label', 'releases', '--so-pin', '12345678', '--pin', PIN],
  ])
  for (const [type, id, label] of [
    ['EC:prime256v1', '01', 'p256'],
    ['EC:edwards25519', '02', 'ed25519'],
    ['EC:prime256v1', '03', 'other'],
  ] as const) {
    await inToken(environment, 'pkcs11-tool', [
      ...['--module', MODULE ?? '', '--token-label', 'releases', '--login', '--pin', PIN],
      ...['--keypairgen', '--key-type', type, '--id', id, '--label', label],
    ])
  }
  return { world, environment }
}

function inToken(env: NodeJS.ProcessEnv, program: string, args: readonly string[]) {
  return promisify(execFile)(program, args, { env })
}

async function serialOf(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await inToken(env, 'pkcs11-tool', ['--module', MODULE ?? '', '--list-token-slots'])
  return /serial num\s*:\s*(\S+)/.exec(stdout)?.[1] ?? ''
}

/** Some other Ed25519 key (RFC 8032 7.1, test 1). */
const ALIEN = `-----BEGIN PUBLIC KEY-----
${Buffer.from('302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex').toString('base64')}
-----END PUBLIC KEY-----
`
