// The list of attacks against the tests: every number has a test, every test that is named exists, no test has a number that is none.
import { describe, expect, test } from 'vitest'
import { catalogue } from './catalogue.ts'
import { findLacks } from './held.ts'
import { numberedTests, testSources } from './named-tests.ts'

const sources = testSources()
const numbered = numberedTests(sources)
const numbers = new Set(catalogue.map(({ number }) => number))

describe('the list of attacks', () => {
  test('is whole: 52 on metadata, 30 on hosts, each once', () => {
    const expected = [
      ...Array.from({ length: 52 }, (_, index) => `T${index + 1}`),
      ...Array.from({ length: 30 }, (_, index) => `H${index + 1}`),
      ...Array.from({ length: 32 }, (_, index) => `C${index + 1}`),
    ]
    expect(catalogue.map(({ number }) => number)).toEqual(expected)
  })

  test('there are sources to look at', () => {
    expect(sources.size).toBeGreaterThan(80)
    expect(numbered.length).toBeGreaterThan(100)
  })

  test.each(catalogue)('$number $what: a test holds against it, or there is a reason why not yet', (entry) => {
    const own = numbered.filter((one) => one.numbers.includes(entry.number))
    const count = own.length + (entry.by?.length ?? 0)
    if (entry.later === undefined) expect(count).toBeGreaterThan(0)
    else expect([entry.later, own]).toEqual([expect.stringMatching(/\w{3}/), []])
  })

  test('names only tests that exist and run', () => {
    const missing = catalogue
      .flatMap(({ number, by = [] }) => by.map((name) => ({ number, name })))
      .filter(({ name }) => !isTest(name))
    expect(missing).toEqual([])
  })

  test('knows every number that a test has', () => {
    expect(numbered.filter((one) => one.numbers.some((number) => !numbers.has(number)))).toEqual([])
  })

  test('would notice a name that no test has', () => {
    expect(isTest('keys/refresh.test.ts: T12 new roots')).toBe(true)
    expect(isTest('keys/refresh.test.ts: T12 old roots')).toBe(false)
    expect(isTest('keys/refreshed.test.ts: T12 new roots')).toBe(false)
  })
})

describe('the list against a run', () => {
  const entries = [
    { number: 'T1', what: 'one', by: ['keys/a.test.ts: says so'] },
    { number: 'H2', what: 'two' },
    { number: 'T52', what: 'three', later: 'not yet' },
  ]
  const run = (status: string, titles: readonly string[] = ['it says so', 'T3 and H2b: two']) => ({
    testResults: [
      {
        name: '/x/test/keys/a.test.ts',
        assertionResults: titles.map((title) => ({ ancestorTitles: ['group'], title, status })),
      },
    ],
  })
  test('what passed holds', () => expect(findLacks(run('passed'), '/x/test', entries)).toEqual([]))

  test.each(['skipped', 'failed', 'pending'])('what was %s holds nothing', (status) =>
    expect(findLacks(run(status), '/x/test', entries)).toEqual([
      { number: 'T1', why: 'no test of it ran and passed' },
      { number: 'H2', why: 'no test of it ran and passed' },
    ]),
  )

  test('what is filled in may be anything, and cut short', () => {
    const filled = [
      {
        number: 'T1',
        what: 'one',
        by: ['keys/a.test.ts: %j is refused as $code', 'keys/a.test.ts: a name that is far too long for one line'],
      },
    ]
    const titles = ['"../a" is refused as traversal', 'a name that is far too lo…']
    expect(findLacks(run('passed', titles), '/x/test', filled)).toEqual([])
    expect(findLacks(run('passed', ['"../a" is taken as traversal', 'a na…']), '/x/test', filled)).toHaveLength(3)
  })

  test('a name that no test has is told, though another test holds', () =>
    expect(findLacks(run('passed', ['T1 one', 'H2 two']), '/x/test', entries)).toEqual([
      { number: 'T1', why: 'no test is called keys/a.test.ts: says so' },
    ]))
})

/** Whether the file has a line that says this, which is not skipped. */
function isTest(reference: string): boolean {
  const [file = '', ...words] = reference.split(': ')
  const lines = sources.get(file)?.split('\n') ?? []
  return lines.some((line) => line.includes(words.join(': ')) && !/\.(skip|todo)\(/.test(line))
}
