import { describe, expect, it, test } from 'vitest'
import { z } from 'zod'
import { nearestKey } from '../../schema/nearest-key.ts'
import { releaseJsonShape } from '../../schema/release-json.ts'
import { ShapeError, type ShapeIssue } from '../../schema/shape-error.ts'
import { parseStrict } from '../../schema/strict-shape.ts'

describe('the nearest key', () => {
  const known = ['retention_days', 'directory', 'enabled', 'encryption', 'to']
  test.each([
    ['retention_day', 'retention_days'],
    ['retentionDays', 'retention_days'],
    ['retention-days', 'retention_days'],
    ['retnetion_days', 'retention_days'],
    ['enable', 'enabled'],
    ['Enabled', 'enabled'],
    ['encrypt', 'encryption'],
    ['direcotry', 'directory'],
    ['ot', 'to'],
  ])('to %s is %s', (word, expected) => {
    expect(nearestKey(word, known)).toBe(expected)
  })

  test.each(['window', 'x', '', 'constructor', 'a'.repeat(10_000)])('to %.20s is none', (word) => {
    expect(nearestKey(word, known)).toBeUndefined()
  })

  it('is the first of equally near ones', () => {
    expect(nearestKey('--wait', ['--watt', '--wail'])).toBe('--watt')
  })
})

const backup = z.strictObject({ enabled: z.boolean().default(true), retention_days: z.int().min(1).default(30) })
const check = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('tcp'), port: z.int() }),
  z.strictObject({ type: z.literal('http'), url: z.string(), expect_status: z.int().optional() }),
])
const shape = z.strictObject({
  backup: backup.prefault({}),
  mode: z.enum(['off', 'auto']).default('off'),
  checks: z.array(check).optional(),
  rules: z.record(z.string().regex(/^[a-z]+$/, 'expected lower-case letters'), backup).optional(),
  target: z.union([z.string(), z.strictObject({ host: z.string() })]).optional(),
  'a/b~c': z.int().optional(),
})

describe('a strict shape', () => {
  it('reads what fits, with its defaults', () => {
    expect(parseStrict(shape, { backup: { retention_days: 7 } }, 'x.yml')).toEqual({
      backup: { enabled: true, retention_days: 7 },
      mode: 'off',
    })
  })

  test.each<[string, unknown, ShapeIssue[]]>([
    [
      'a misspelt key',
      { backup: { retention_day: 7 } },
      [{ pointer: '/backup/retention_day', message: 'unknown key "retention_day"; did you mean "retention_days"?' }],
    ],
    [
      'a misspelt key at the top',
      { bakcup: {} },
      [{ pointer: '/bakcup', message: 'unknown key "bakcup"; did you mean "backup"?' }],
    ],
    [
      'two of them',
      { modus: 'off', bakup: {} },
      [
        {
          pointer: '/modus',
          message: 'unknown key "modus"; possible here: backup, mode, checks, rules, target, a/b~c',
        },
        { pointer: '/bakup', message: 'unknown key "bakup"; did you mean "backup"?' },
      ],
    ],
    [
      'a key like one that is there already',
      { backup: { enabled: true, enable: true } },
      [{ pointer: '/backup/enable', message: 'unknown key "enable"; possible here: retention_days' }],
    ],
    [
      'a key in a list',
      { checks: [{ type: 'http', url: 'x', expect_stats: 1 }] },
      [{ pointer: '/checks/0/expect_stats', message: 'unknown key "expect_stats"; did you mean "expect_status"?' }],
    ],
    [
      'a key of another alternative',
      { checks: [{ type: 'tcp', port: 1, url: 'x' }] },
      [{ pointer: '/checks/0/url', message: 'unknown key "url"' }],
    ],
    [
      'an unknown alternative',
      { checks: [{ type: 'udp' }] },
      [{ pointer: '/checks/0/type', message: "expected 'tcp' | 'http'" }],
    ],
    [
      'a key in a record',
      { rules: { eu: { enbled: true } } },
      [{ pointer: '/rules/eu/enbled', message: 'unknown key "enbled"; did you mean "enabled"?' }],
    ],
    [
      'an unusable key of a record',
      { rules: { EU: {} } },
      [{ pointer: '/rules/EU', message: 'unusable key: expected lower-case letters' }],
    ],
    [
      'a key in the alternative that was meant',
      { target: { hots: 'x' } },
      [
        { pointer: '/target/host', message: 'expected string, but it is missing' },
        { pointer: '/target/hots', message: 'unknown key "hots"; did you mean "host"?' },
      ],
    ],
    [
      'no alternative at all',
      { target: 7 },
      [{ pointer: '/target', message: 'expected string, not number, or expected object, not number' }],
    ],
    [
      'a wrong type',
      { backup: { enabled: 'yes' } },
      [{ pointer: '/backup/enabled', message: 'expected boolean, not string' }],
    ],
    ['a wrong word', { mode: 'on' }, [{ pointer: '/mode', message: 'expected one of "off"|"auto"' }]],
    [
      'a number out of range',
      { backup: { retention_days: 0 } },
      [{ pointer: '/backup/retention_days', message: 'too small: expected number to be >=1' }],
    ],
    [
      'a pointer that needs escapes',
      { 'a/b~c': 'x' },
      [{ pointer: '/a~1b~0c', message: 'expected number, not string' }],
    ],
    ['another document altogether', [], [{ pointer: '', message: 'expected object, not array' }]],
    ['no document', null, [{ pointer: '', message: 'expected object, not null' }]],
    [
      'a key that objects have by nature',
      JSON.parse('{"__proto__": 1, "constructor": 2}'),
      [
        {
          pointer: '/__proto__',
          message: 'unknown key "__proto__"; possible here: backup, mode, checks, rules, target, a/b~c',
        },
        {
          pointer: '/constructor',
          message: 'unknown key "constructor"; possible here: backup, mode, checks, rules, target, a/b~c',
        },
      ],
    ],
  ])('explains %s', (_what, value, issues) => {
    const error = refusal(() => parseStrict(shape, value, 'x.yml'))
    expect(error.issues).toEqual(issues)
    expect(error.message).toMatch(/^x\.yml: \//)
  })

  it('explains a real release.json', () => {
    const error = refusal(() =>
      parseStrict(
        releaseJsonShape,
        { service: { argv: ['./run'], health_check: [] }, compatibility: { upgrade_form: '*' } },
        'release.json',
      ),
    )
    expect(error.issues.map(({ message }) => message)).toEqual([
      'unknown key "upgrade_form"; did you mean "upgrade_from"?',
      'unknown key "health_check"; did you mean "health_checks"?',
    ])
  })
})

function refusal(work: () => unknown): ShapeError {
  try {
    work()
  } catch (error) {
    if (error instanceof ShapeError) return error
    throw error
  }
  throw new Error('expected a refusal')
}
