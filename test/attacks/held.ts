// The list of attacks against what a run of all tests really did: a test that was skipped holds nothing, whatever its name says.
import { relative } from 'node:path'
import { z } from 'zod'
import { catalogue, type Entry } from './catalogue.ts'

/** Of Vitest's JSON report, what is read here. */
const reportShape = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      assertionResults: z.array(
        z.object({ ancestorTitles: z.array(z.string()), title: z.string(), status: z.string() }),
      ),
    }),
  ),
})

interface Ran {
  /** Below `test/`. */
  readonly file: string
  /** Its own name, and the names around it. */
  readonly titles: readonly string[]
  readonly passed: boolean
}

export interface Lack {
  readonly number: string
  readonly why: string
}

/** Every entry that no passed test of this report holds, and every test that an entry names and nobody ran. `root`: the folder `test`. */
export function findLacks(report: unknown, root: string, entries: readonly Entry[] = catalogue): readonly Lack[] {
  const ran = reportShape.parse(report).testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(
      ({ ancestorTitles, title, status }): Ran => ({
        file: relative(root, name),
        titles: [title, ...ancestorTitles],
        passed: status === 'passed',
      }),
    ),
  )
  return entries
    .filter(({ later }) => later === undefined)
    .flatMap(({ number, by = [] }) => {
      const named = by.map((reference) => ({ reference, tests: ran.filter((one) => isMeant(one, reference)) }))
      const unknown = named.filter(({ tests }) => tests.length === 0)
      const own = ran.filter(({ titles }) => titles.some((title) => numbersOf(title).includes(number)))
      const isHeld = [...own, ...named.flatMap(({ tests }) => tests)].some(({ passed }) => passed)
      return [
        ...unknown.map(({ reference }) => ({ number, why: `no test is called ${reference}` })),
        ...(isHeld ? [] : [{ number, why: 'no test of it ran and passed' }]),
      ]
    })
}

/** A reference is `file: part of a name`, as the name stands in the source: what is filled in there (`%s`, `$code`) may be anything. */
function isMeant({ file, titles }: Ran, reference: string): boolean {
  const [name = '', ...rest] = reference.split(': ')
  const words = rest.join(': ')
  const parts = words.split(/%[sdifjo#]|\$[a-z]+/i).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pattern = new RegExp(parts.join('.*'), 's')
  // What is filled in is cut short by Vitest.
  const isCut = (title: string) => title.endsWith('…') && title.length > 20 && words.startsWith(title.slice(0, -1))
  return file === name && titles.some((title) => pattern.test(title) || isCut(title))
}

/** `T13 and T14a: a newer …` has two. */
function numbersOf(title: string): readonly string[] {
  const [, numbers = ''] = /^([THC]\d{1,2}[a-z]?(?:(?:, | and )[THC]\d{1,2}[a-z]?)*)(?:: | )/.exec(title) ?? []
  return numbers.split(/, | and /).map((number) => number.replace(/[a-z]$/, ''))
}
