import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { buildOutput } from '../../publisher/output.ts'

function shown(columns: number | null, ...lines: readonly string[]): string {
  const written: string[] = []
  const streams = { stdout: () => undefined, stderr: (text: string) => void written.push(text), columns, color: false }
  buildOutput({ streams, clock: systemClock, json: false, events: false }).show(lines)
  return written.join('')
}

const TITLE = `e_${'1'.repeat(32)}: release of 0a3, proposed by alice at 2026-11-23T15:45:52Z, open until 2026-11-30T15:45:52Z`

test('on a terminal a long line goes on further in than any line begins; in a pipe it is whole', () => {
  expect(shown(null, TITLE)).toBe(`${TITLE}\n`)
  const lines = shown(80, TITLE, '  short').split('\n')
  expect(lines).toEqual([
    `e_${'1'.repeat(32)}: release of 0a3, proposed by alice at `,
    '      2026-11-23T15:45:52Z, open until 2026-11-30T15:45:52Z',
    '  short',
    '',
  ])
  // A word that does not fit stands whole.
  expect(shown(40, `  sha256 ${'a'.repeat(64)}`)).toBe(`  sha256 \n        ${'a'.repeat(64)}\n`)
})

test('nothing of a line is lost, not even a space, and what follows never looks like a line of its own', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 200 }), fc.integer({ min: 20, max: 100 }), (text, columns) => {
      const line = `  ${text.replaceAll(/[^ -~]/g, 'x').trim()}.`
      const [first = '', ...rest] = shown(columns, line).slice(0, -1).split('\n')
      for (const part of rest) expect(part).toMatch(/^ {8}/)
      expect(first + rest.map((part) => part.slice(8)).join('')).toBe(line)
    }),
  )
})
