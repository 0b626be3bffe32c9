import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { engineCodes } from '../../agent/engine/outcome.ts'
import { waitingReasons } from '../../schema/attempt.ts'
import { errorTopic } from '../../schema/cli/error-topics.ts'
import { renderFailure } from '../../schema/cli/failure-text.ts'
import { problemKinds } from '../../server/http/problem-code.ts'

const root = join(import.meta.dirname, '..', '..')

/** Files that make a code out of a word, and the words. A file that begins to do so has to be named here. */
const made: Readonly<Record<string, readonly string[]>> = {
  'agent/api.ts': waitingReasons,
  'agent/commands/installing.ts': waitingReasons,
  'agent/worker-tasks.ts': waitingReasons,
  'agent/explain.ts': [
    ...engineCodes.filter((code) => code !== 'unverified'),
    ...unionOf('agent/service/control.ts', 'ServiceErrorCode').map((code) => `service-${code}`),
  ],
  'publisher/failure-facts.ts': [
    ...unionOf('keys/key-file.ts', 'KeyFileErrorCode').map((code) => `keyring-${code}`),
    ...unionOf('publisher/signers/signer-error.ts', 'SignerErrorCode').map((code) => `signer-${code}`),
  ],
  'server/admin/failures.ts': Object.keys(problemKinds),
  'server/commands/failure-facts.ts': ['schema-altered', 'schema-newer', 'schema-pending'],
}

const sources = ['schema', 'keys', 'publisher', 'server', 'agent'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`),
)

describe('every error code', () => {
  test('that stands in a source has a text', () => {
    const codes = sources
      .filter((file) => file !== 'schema/cli/error-topics.ts')
      .flatMap((file) => [...readFileSync(join(root, file), 'utf8').matchAll(/'(E-[A-Z][A-Z-]*[A-Z])'/g)])
      .map(([, code = '']) => code)
    expect(codes.length).toBeGreaterThan(100)
    expect([...new Set(codes)].filter((code) => errorTopic(code) === undefined)).toEqual([])
  })

  test('that is made out of a word has a text', () => {
    const makers = sources.filter((file) => /`E-[A-Z-]*\$\{/.test(readFileSync(join(root, file), 'utf8')))
    expect(makers.toSorted()).toEqual(Object.keys(made).toSorted())
    for (const [file, words] of Object.entries(made)) expect(words.length, file).toBeGreaterThan(2)
    const codes = Object.values(made).flatMap((words) =>
      words.map((word) => `E-${word.toUpperCase().replaceAll('_', '-')}`),
    )
    expect([...new Set(codes)].filter((code) => errorTopic(code) === undefined)).toEqual([])
  })

  test('and one without is not said to have more', () => {
    const facts = { exit: 3, title: 'no', detail: '', state: '', next: [] } as const
    const textOf = (code: string) => renderFailure({ code, ...facts }, { color: false, width: null })
    expect(textOf('E-LOCKED')).toContain('More: netlink help E-LOCKED')
    expect(textOf('E-NOBODY-KNOWS')).toBe('error E-NOBODY-KNOWS: no.\n  (exit 3)\n')
    expect(textOf('constructor')).not.toContain('More:')
  })
})

/** The words of a union of literals. */
function unionOf(file: string, name: string): readonly string[] {
  const [, body = ''] =
    new RegExp(`type ${name} =\\n((?: +\\|.*\\n)+)`).exec(readFileSync(join(root, file), 'utf8')) ?? []
  return [...body.matchAll(/\| '([^']+)'/g)].map(([, word = '']) => word)
}
