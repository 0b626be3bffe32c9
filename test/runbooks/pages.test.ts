import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PAGES, REHEARSED } from './rehearsal.ts'

const INDEX = 'README.md'
const pages = (await readdir(PAGES)).filter((name) => name.endsWith('.md') && name !== INDEX)

if (!REHEARSED) console.log('skipped: the rehearsals of all runbooks but one (set REHEARSALS=1 to run them)')

test('every page has its rehearsal and every rehearsal its page', async () => {
  const tests = (await readdir(import.meta.dirname)).filter(
    (name) => name.endsWith('.test.ts') && name !== 'pages.test.ts',
  )
  expect(pages.map((name) => name.replace(/\.md$/, '')).sort()).toEqual(
    tests.map((name) => name.replace(/\.test\.ts$/, '')).sort(),
  )
  expect(pages.length).toBeGreaterThan(0)
})

test('the index names every page, and no other', async () => {
  const index = await readFile(join(PAGES, INDEX), 'utf8')
  const named = [...index.matchAll(/\]\(([a-z-]+\.md)\)/g)].map(([, name]) => name)
  expect(named.sort()).toEqual([...pages].sort())
})

test.each(pages)(
  '%s says what an attacker can do meanwhile, what to type, and how to see that it worked',
  async (name) => {
    const text = await readFile(join(PAGES, name), 'utf8')
    expect(text).toContain('**What an attacker can do meanwhile:**')
    expect(text).toContain('\n## Commands\n')
    expect(text).toContain('\n## How to see that it worked\n')
    // A block for nobody in particular is a block that no test types.
    expect(text.match(/```\w*/g)?.filter((fence, index) => index % 2 === 0 && fence !== '```sh') ?? []).toEqual([])
    for (const [, machine] of text.matchAll(/```sh *(.*)/g)) expect(machine).toMatch(/^(server|publisher|admin|host)$/)
  },
)
