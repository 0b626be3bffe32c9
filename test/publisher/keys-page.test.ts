// docs/keys.md, typed as it stands: people join, leave and get new keys, in the order of the page.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { publishHere } from '../world/publisher-here.ts'
import { answerOf, openWorld } from './world.ts'

test('the commands of the page work one after the other', async () => {
  const world = await openWorld()
  const init = await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  expect(init, init.stderr).toMatchObject({ status: 0 })
  for (const [file, name] of [
    ['a.pass', 'alice'],
    ['b.pass', 'bob'],
    ['dave.pass', 'dave'],
  ] as const)
    await writeFile(join(world.folder, file), `${name}'s passphrase\n`, { mode: 0o600 })

  const lines = await linesOf('People join, leave and get new keys')
  expect(lines).toHaveLength(6)
  for (const { words, out } of lines) {
    const outcome = await publishHere(world.folder, words, {}, async () => true)
    // One signature of two: the page's next line brings the other.
    const expected = words[1] === 'rotate' ? 7 : 0
    expect(outcome.status, `${words.join(' ')}\n${outcome.stdout}${outcome.stderr}`).toBe(expected)
    if (out !== undefined) await writeFile(join(world.folder, out), outcome.stdout)
  }
  const shown = answerOf(await world.publish('root', 'show', '--json')) as {
    version?: number
    waiting?: unknown
    roles?: { role: string; threshold: number; keys: { name: string }[] }[]
  }
  expect(shown).toMatchObject({ version: 5, waiting: null })
  const rootRole = shown.roles?.find(({ role }) => role === 'root')
  expect(rootRole?.keys.map(({ name }) => name).sort()).toEqual(['alice', 'bob', 'dave'])
  expect(shown.roles?.find(({ role }) => role === 'alpha')).toMatchObject({ threshold: 1 })
}, 120_000)

/** What `netlink-publish` is asked in the first block below a heading, and the file that its answer goes to. */
async function linesOf(heading: string): Promise<{ words: string[]; out: string | undefined }[]> {
  const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'keys.md'), 'utf8')
  const [, block = ''] = /```sh\n([\s\S]*?)```/.exec(page.slice(page.indexOf(`## ${heading}`))) ?? []
  return block
    .trim()
    .split('\n')
    .map((line) => {
      const [command = '', out] = line.replace(/ +#.*$/, '').split(' > ')
      const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
      expect(words.shift()).toBe('netlink-publish')
      return { words, out }
    })
}
