// What a refusal says: the file by the name it was asked for, what is true of the command that was typed, and a next step that is not the same again.
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { splitFolders } from './event-folders.ts'
import { answerOf, asSigners, openWorld } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

test('a refusal names the file once, says what is true of its own command, and goes on from there', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world)
  await writeFile(join(world.folder, 'wrong.pass'), 'another\n', { mode: 0o600 })
  const proposed = await world.publish('propose', '0a1', '--from', 'app-v1', '--dir', 'alice', '--json')
  const event = String(answerOf(proposed).event)
  const wrong = ['--signer', 'bob', '--passphrase-file', 'bob=wrong.pass']

  for (const [args, words] of [
    [
      ['sign', event, '--dir', 'bob', '--yes', ...wrong],
      ["can't be decrypted", 'Nothing was signed.', '--passphrase-file NAME=FILE'],
    ],
    [
      ['sign', './none.json', ...as('bob', '--yes')],
      ['none.json is not there', 'Nothing was signed.', `ls -ld ${world.folder}`],
    ],
    [
      ['verify', 'none', '--dir', 'bob'],
      ['no file that is there', 'Nothing was changed.'],
    ],
    [
      ['propose', 'root-2', '--dir', 'bob'],
      ['nothing waits as root-2', 'Nothing was proposed.', 'netlink-publish root --help'],
    ],
    [
      ['propose', '0z4', '--dir', 'bob'],
      ['netlink-publish propose does not take "0z4"', 'Expected a version such as 0a1'],
    ],
    [['abort', '0a7', '--reason', 'x', '--dir', 'bob'], ['no open signing event is called 0a7']],
  ] as const) {
    const refused = await world.publish(...args)
    expect(refused.status, args.join(' ')).not.toBe(0)
    for (const one of words) expect(refused.stderr, args.join(' ')).toContain(one)
    expect(refused.stderr).not.toMatch(/ENOENT|command-argument/)
  }
}, 120_000)

test('where a signature is to go is looked at before anybody signs', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world)
  const proposed = await world.publish('propose', '0a1', '--from', 'app-v1', '--dir', 'alice', '--json')
  const event = String(answerOf(proposed).event)
  await writeFile(join(world.folder, 'file'), '')

  // Root may write anywhere: a folder that is a file refuses it too.
  for (const out of ['file/bob.json', 'none/bob.json']) {
    const refused = await world.publish('sign', event, ...as('bob', '--yes', '--out', out))
    expect(refused, out).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(`${join(world.folder, out)} can't be written`),
    })
    expect(refused.stderr).not.toMatch(/signed so far|\.tmp/)
  }
  expect((await readdir(world.folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  expect(await world.publish('sign', event, ...as('bob', '--yes', '--out', 'bob.json'))).toMatchObject({ status: 0 })
}, 120_000)
