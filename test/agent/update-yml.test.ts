import { describe, expect, test } from 'vitest'
import { editUpdateYml, listSettings, readUpdateYml } from '../../agent/update-yml.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseUpdateYml } from '../../schema/update-yml.ts'
import { SPECIFIED } from '../schema/specified-update-yml.ts'

// What the values mean and which are refused is shown in test/schema; here, what becomes of the text.
describe('config/update.yml', () => {
  test('reads as what stands in it', () => {
    expect(readUpdateYml('')).toEqual(parseUpdateYml({}, 'config/update.yml'))
    expect(readUpdateYml(SPECIFIED)).toEqual(readUpdateYml(''))
    expect(readUpdateYml('update_system:\n  automatic:\n    mode: auto # ours\n').automatic.mode).toBe('auto')
  })

  const refused: readonly [words: string, text: string, expected: RegExp][] = [
    ['a value that its key can not have', 'update_system: {automatic: {mode: always}}\n', /mode/],
    ['a key twice', 'update_system: {}\nupdate_system: {}\n', /unique/i],
    ['no YAML', 'update_system: [', /./],
    ['a list', '- 1\n', /./],
    ['more maps inside one another than a stack holds', '? '.repeat(30_000), /./],
    ['more than such a file ever needs', `# ${'x'.repeat(32_768)}`, /at most 32768/],
    ['a key that is a map', `? ${'? '.repeat(40)}a`, /keys must be strings/],
    ['an alias', 'update_system: &a\n  backup: *a\n', /./],
  ]
  test.each(refused)('refuses %s', (_words, text, expected) => {
    expect(() => readUpdateYml(text)).toThrow(ShapeError)
    expect(() => readUpdateYml(text)).toThrow(expected)
  })
})

describe('setting one value', () => {
  test('changes one line of the file and keeps every other byte', () => {
    const edited = editUpdateYml(SPECIFIED, 'backup.retention_days', '7')
    expect(edited).toBe(SPECIFIED.replace('retention_days: 30', 'retention_days: 7'))
  })

  test.each([
    ['into an empty file', ''],
    ['into a file without the section', SPECIFIED],
    ['into a file that ends without a newline', SPECIFIED.trimEnd()],
    ['into a section without the key', 'update_system:\n  automatic:\n    jitter: 1m # ours\n'],
    ['over a key without a value', 'update_system:\n  automatic:\n    mode:\n'],
    ['over a quoted value with a comment', 'update_system:\n  automatic:\n    mode: "off" # for now\n'],
  ])('%s', (_words, before) => {
    if (before.includes('mode:\n')) expect(() => editUpdateYml(before, 'automatic.mode', 'auto')).toThrow(ShapeError)
    else {
      const after = editUpdateYml(before, 'automatic.mode', 'auto')
      expect(readUpdateYml(after).automatic.mode).toBe('auto')
      for (const line of before.split('\n').filter((one) => !one.includes('mode: "off"'))) expect(after).toContain(line)
      if (before.includes('# for now')) expect(after).toContain('mode: auto # for now')
    }
  })

  test('refuses unknown settings, naming the right one, and values that are none', () => {
    expect(() => editUpdateYml('', 'automatic.mod', 'auto')).toThrow(/automatic\.mode/)
    expect(() => editUpdateYml('', 'automatic.mode', 'always')).toThrow(ShapeError)
    expect(() => editUpdateYml('', 'automatic', '{}')).toThrow(ShapeError)
    expect(() => editUpdateYml('', 'automatic.mode', 'auto\nupdate_system: {}')).toThrow(ShapeError)
  })

  test('refuses a file in which the new lines would be a part of something else', () => {
    expect(() => editUpdateYml('?   automatic:\n " a', 'automatic.mode', 'off')).toThrow(ShapeError)
  })

  test('every setting can be set to what it is', () => {
    for (const [name, value] of listSettings()) {
      expect(readUpdateYml(editUpdateYml('', name, JSON.stringify(value)))).toEqual(readUpdateYml(''))
    }
  })
})
