// Holders whose keys are in no keyring: programs that sign. Real processes, a real server; whatever a program does, nothing wrong is published.
import { chmod, chown, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Mood, makeSigningProgram } from './signing-program.ts'
import { openWorld, type PublisherWorld, versionsOf } from './world.ts'

test('programs sign the first root, releases, promotions and signing events, beside a holder with a keyring', async () => {
  const world = await openTeam()
  const made = await world.init(['alice'], '--signers', 'alice,bob,carol', '--threshold', '2')
  expect(made, made.stderr).toMatchObject({ status: 0 })
  expect(made.stdout).toContain('keys of alice in pub/keys\n')
  expect(made.stdout).toContain('keys of bob, carol as pub/keys/NAME.signers.yml says\n')
  const shown = await world.publish('keys', 'show', 'bob')
  expect(shown.stdout.match(/"keyval"/g)).toHaveLength(1)
  expect(shown.stdout).toMatch(/^root, alpha, beta, release {3}[0-9a-f]{64}$/m)
  expect((await readdir(join(world.folder, 'pub', 'keys'))).sort()).toEqual([
    'alice.age',
    'bob.signers.yml',
    'carol.signers.yml',
  ])
  const released = await world.publish('release', '0a1', '--from', 'app-v1', '--signer', 'bob', '--signer', 'carol')
  expect(released, released.stderr).toMatchObject({ status: 0 })
  const promoted = await world.signing(['alice'], 'promote', '0a1', '--to', 'beta', '--signer', 'bob')
  expect(promoted, promoted.stderr).toMatchObject({ status: 0 })
  expect([...(await versionsOf(world))].sort()).toEqual(['0a1', '0b1'])
  const verified = await world.publish('verify', '0b1')
  expect(verified, verified.stderr).toMatchObject({ status: 0 })

  const calls = (await readFile(join(world.folder, 'bob.log'), 'utf8')).trim().split('\n')
  expect(new Set(calls)).toEqual(
    new Set(['root', 'alpha', 'beta', 'release'].map((role) => JSON.stringify([role, 64, null, 3]))),
  )
  const listed = await world.publish('keys', 'list')
  expect(listed.stdout).toContain('bob.signers.yml')
  const alone = await world.publish('release', '0a2', '--from', 'app-v2', '--signer', 'bob')
  expect(alone).toMatchObject({ status: 7, stderr: expect.stringContaining('E-SIG-THRESHOLD') })
  const joined = await world.publish('publish', '0a2', '--signer', 'carol', '--yes')
  expect(joined, joined.stderr).toMatchObject({ status: 0 })

  const yanked = await world.publish('yank', '0b1', '--reason', 'wrong colour', '--signer', 'bob', '--signer', 'carol')
  expect(yanked, yanked.stderr).toMatchObject({ status: 0 })
  expect((await world.publish('list')).stdout).toMatch(/0b1 .*withdrawn/)

  const proposed = await world.publish('propose', '0a3', '--from', 'app-v1', '--signer', 'bob')
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const signed = await world.publish('sign', '0a3', '--signer', 'carol', '--yes')
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  const published = await world.publish('publish', '0a3')
  expect(published, published.stderr).toMatchObject({ status: 0 })
}, 90_000)

const refusals: readonly (readonly [mood: Mood, status: number, code: string, words: string])[] = [
  ['fail', 3, 'E-SIGNER-PROGRAM-FAILED', 'it said: the device is on fire'],
  ['hang', 6, 'E-SIGNER-TIMEOUT', 'within 4 s'],
  ['junk', 7, 'E-SIGNER-BAD-OUTPUT', 'found "not a signature"'],
  ['silent', 7, 'E-SIGNER-BAD-OUTPUT', 'found nothing'],
  ['flood', 7, 'E-SIGNER-BAD-OUTPUT', 'more than 65536 bytes'],
  ['other-key', 7, 'E-SIGNER-WRONG-SIGNATURE', "bob's alpha key"],
  ['other-message', 7, 'E-SIGNER-WRONG-SIGNATURE', "bob's alpha key"],
]

test('whatever a program does wrong is refused by name, and nothing is published or kept', async () => {
  const world = await openWorld({ environment: { PATH: process.env.PATH } })
  const bob = await makeSigningProgram(world.folder, 'bob', 'node')
  const imported = await importProgram(world, 'bob', bob, '--timeout', '4')
  expect(imported, imported.stderr).toMatchObject({ status: 0 })
  const init = () => world.init([], '--signers', 'bob')
  await bob.become('fail')
  expect(await init()).toMatchObject({ status: 3, stderr: expect.stringContaining('E-SIGNER-PROGRAM-FAILED') })
  await expect(stat(join(world.folder, 'pub', 'netlink.publish.yml'))).rejects.toThrow()
  await bob.become('sign')
  const made = await init()
  expect(made, made.stderr).toMatchObject({ status: 0 })

  const release = () => world.publish('release', '0a1', '--from', 'app-v1', '--signer', 'bob')
  for (const [mood, status, code, words] of refusals) {
    await bob.become(mood)
    const refused = await release()
    expect(refused, mood).toMatchObject({ status, stderr: expect.stringContaining(code) })
    expect(refused.stderr.replaceAll(/\s+/g, ' '), mood).toContain(words)
    expect(refused.stderr, mood).toContain('Nothing was published.')
    expect(refused.stderr, mood).toContain('netlink-publish keys check bob')
    expect(refused.stderr, mood).not.toContain('\u001b')
  }
  await bob.become('fail')
  const checked = await world.publish('keys', 'check', 'bob')
  expect(checked).toMatchObject({ status: 3, stderr: expect.stringContaining('netlink-publish keys import') })
  expect(checked.stderr).toContain('Nothing was signed.')
  expect(checked.stderr).not.toContain('keys check')
  await bob.become('sign')
  expect(await world.publish('keys', 'check', 'bob')).toMatchObject({ status: 0 })

  const signers = join(world.folder, 'pub', 'keys', 'bob.signers.yml')
  const program = bob.words[0] ?? ''
  await rename(program, join(world.folder, 'away'))
  expect(await release()).toMatchObject({ status: 2, stderr: expect.stringContaining('E-SIGNER-PROGRAM-MISSING') })
  const written = await readFile(signers, 'utf8')
  await writeFile(signers, written.replaceAll(program, './nobody'))
  expect(await release()).toMatchObject({ status: 2, stderr: expect.stringContaining('E-SIGNER-PROGRAM-MISSING') })
  await writeFile(signers, written)
  await writeFile(signers, written.replaceAll('    exec:', '    exce:'))
  const misspelt = await release()
  expect(misspelt).toMatchObject({ status: 2, stderr: expect.stringContaining('exec') })
  await writeFile(signers, written)
  expect(await versionsOf(world)).toEqual([])
  await expect(stat(join(world.folder, 'pub', 'pending', '0a1'))).rejects.toThrow()

  await rename(join(world.folder, 'away'), program)
  const released = await release()
  expect(released, released.stderr).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 120_000)

test('what others may change is not run: the signers file, the program, and every folder on the way to them', async (context) => {
  const world = await openTeam()
  const made = await world.init(['alice'], '--signers', 'alice,bob,carol', '--threshold', '2')
  expect(made, made.stderr).toMatchObject({ status: 0 })
  const keys = join(world.folder, 'pub', 'keys')
  const signers = join(keys, 'bob.signers.yml')
  const program = join(world.folder, 'bob.mjs')
  const log = () => readFile(join(world.folder, 'bob.log'), 'utf8')
  const before = await log()
  const release = () => world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--signer', 'bob')
  const refuses = async (open: () => Promise<void>, close: () => Promise<void>) => {
    await open()
    expect(await release()).toMatchObject({ status: 3, stderr: expect.stringContaining('E-SIGNER-WRITABLE-BY-OTHERS') })
    await close()
  }
  for (const [path, mode, closed] of [
    [signers, 0o620, 0o600],
    [signers, 0o666, 0o600],
    [program, 0o775, 0o755],
    [keys, 0o777, 0o700],
    [world.folder, 0o777, 0o700],
  ] as const)
    await refuses(
      () => chmod(path, mode),
      () => chmod(path, closed),
    )
  // A token's program is run as well, with the PIN in its environment.
  const written = await readFile(signers, 'utf8')
  const open = join(world.folder, 'open')
  await mkdir(open)
  await writeFile(join(open, 'tool'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  await chmod(open, 0o777)
  const token = (spec: string) =>
    writeFile(signers, written.replaceAll(/exec:\n(?: {6}- .*\n)+(?: {4}timeout_s: .*\n)?/g, `pkcs11: ${spec}\n`), {
      mode: 0o600,
    })
  for (const spec of [
    `{ module: /bin/sh, token: t, key: k, program: ${open}/tool }`,
    `{ module: ${open}/tool, token: t, key: k }`,
  ])
    await refuses(
      () => token(spec),
      () => writeFile(signers, written, { mode: 0o600 }),
    )
  if (process.getuid?.() === 0) {
    for (const path of [signers, program])
      await refuses(
        () => chown(path, 65534, 65534),
        () => chown(path, 0, 0),
      )
  } else context.annotate('only root can give files away')
  expect(await log()).toBe(before)
  const released = await release()
  expect(released, released.stderr).toMatchObject({ status: 0 })
}, 60_000)

test('a key that signs on another machine is named in the first root, and signs nothing here', async () => {
  const world = await openTeam()
  const dave = await makeSigningProgram(world.folder, 'dave', 'node')
  const registered = await world.publish('keys', 'import', '--name', 'dave', '--public', dave.publicFile)
  expect(registered, registered.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('elsewhere') })
  const few = await world.init([], '--signers', 'bob,dave', '--threshold', '2', '--allow-threshold-equals-keys')
  expect(few).toMatchObject({ status: 7, stderr: expect.stringContaining('dave would sign on another machine') })
  const made = await world.init([], '--signers', 'bob,carol,dave', '--threshold', '2')
  expect(made, made.stderr).toMatchObject({ status: 0 })

  const absent = await world.publish('release', '0a1', '--from', 'app-v1', '--signer', 'bob', '--signer', 'dave')
  expect(absent).toMatchObject({ status: 2, stderr: expect.stringContaining('E-SIGNER-NOT-HERE') })
  const half = await world.publish('release', '0a1', '--from', 'app-v1', '--signer', 'bob')
  expect(half).toMatchObject({ status: 7, stderr: expect.stringContaining('dave') })
  // On dave's own machine the same key has a program.
  await importProgram(world, 'dave', dave)
  const joined = await world.publish('publish', '0a1', '--signer', 'dave', '--yes')
  expect(joined, joined.stderr).toMatchObject({ status: 0 })
  const other = await makeSigningProgram(world.folder, 'dave2', 'node')
  await importProgram(world, 'dave', other)
  const foreign = await world.publish('release', '0a2', '--from', 'app-v2', '--signer', 'bob', '--signer', 'dave')
  expect(foreign).toMatchObject({ status: 2, stderr: expect.stringContaining('does not hold the root key of dave') })
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 90_000)

test('somebody with a program joins later: the keys that were imported are the ones that root names', async () => {
  const world = await openTeam()
  const made = await world.init([], '--signers', 'bob,carol')
  expect(made, made.stderr).toMatchObject({ status: 0 })
  const dave = await makeSigningProgram(world.folder, 'dave', 'node')
  const imported = await importProgram(world, 'dave', dave, '--json')
  await writeFile(join(world.folder, 'dave.json'), imported.stdout)
  const adding = ['root', 'add-key', 'dave', '--public', 'dave.json', '--threshold', '2', '--dir', 'pub']
  const joined = await world.publish(...adding, '--signer', 'bob', '--signer', 'carol', '--signer', 'dave')
  expect(joined, joined.stderr + joined.stdout).toMatchObject({ status: 0 })
  const released = await world.publish('release', '0a1', '--from', 'app-v1', '--signer', 'carol', '--signer', 'dave')
  expect(released, released.stderr).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 90_000)

test('keys import takes public keys of every kind, and only those', async () => {
  const world = await openWorld()
  const { publicFile, words } = await makeSigningProgram(world.folder, 'bob', 'node')
  const importing = (...args: readonly string[]) => world.publish('keys', 'import', '--name', 'bob', ...args)
  const pem = await importing('--public', publicFile, '--json')
  expect(pem, pem.stderr).toMatchObject({ status: 0 })
  const secret = await importing('--public', 'bob.pem')
  expect(secret).toMatchObject({ status: 2, stderr: expect.stringContaining('it holds a private key') })
  expect(await importing('--public', 'bob.mjs')).toMatchObject({ status: 2 })
  expect(await importing()).toMatchObject({ status: 2, stderr: expect.stringContaining('--public FILE') })
  expect(await importing('--public', publicFile, '--role', 'snapshot')).toMatchObject({ status: 2 })
  expect(await importing('--public', publicFile, '--timeout', '0')).toMatchObject({ status: 2 })
  const both = await importing('--public', publicFile, '--pkcs11-module', 'm.so', '--', ...words)
  expect(both).toMatchObject({ status: 2, stderr: expect.stringContaining('not by both') })
  expect(await importing('--public', publicFile, '--token', 't')).toMatchObject({ status: 2 })
  expect(await world.publish('keys', 'check', 'nobody')).toMatchObject({ status: 2 })
}, 60_000)

/** A server, and bob and carol with programs that were imported before anything else was made. */
async function openTeam(): Promise<PublisherWorld> {
  const world = await openWorld({ environment: { PATH: process.env.PATH, NETLINK_TOKEN: undefined } })
  for (const [name, kind] of [
    ['bob', 'node'],
    ['carol', 'openssl'],
  ] as const) {
    const imported = await importProgram(world, name, await makeSigningProgram(world.folder, name, kind))
    expect(imported, imported.stderr).toMatchObject({ status: 0 })
  }
  return world
}

function importProgram(
  world: PublisherWorld,
  name: string,
  { publicFile, words }: { publicFile: string; words: readonly string[] },
  ...args: readonly string[]
) {
  return world.publish('keys', 'import', '--name', name, '--public', publicFile, ...args, '--', ...words)
}
