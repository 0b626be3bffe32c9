// The names of all tests, read from their sources: the list of attacks is held against them.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export interface NamedTest {
  /** Below `test/`. */
  readonly file: string
  readonly name: string
  /** The numbers of attacks that the name begins with. */
  readonly numbers: readonly string[]
}

const root = join(import.meta.dirname, '..')

/** The text of every file with tests, by its path below `test/`. */
export function testSources(): ReadonlyMap<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
  return new Map(files.sort().map((file) => [relative(root, file), readFileSync(file, 'utf8')]))
}

/** A text that begins with numbers of attacks: `T40 a snapshot…`, `T13 and T14: a newer…`. */
const NUMBERED = /(['"`])((?:[TH]\d{1,2}[a-z]?)(?:(?:, | and )[TH]\d{1,2}[a-z]?)*)((?:: | )(?:(?!\1).)+)\1/g

/** Every test whose name begins with a number. */
export function numberedTests(sources: ReadonlyMap<string, string>): readonly NamedTest[] {
  return [...sources].flatMap(([file, text]) =>
    [...text.matchAll(NUMBERED)].map(([, , numbers = '', rest = '']) => ({
      file,
      name: numbers + rest,
      numbers: numbers.split(/, | and /).map((number) => number.replace(/[a-z]$/, '')),
    })),
  )
}
