// The last look before anything is sent: what the holders signed is held against the rule of channels, so that nobody publishes a way round a threshold.
import { expect, test } from 'vitest'
import { TrustError } from '../../keys/trust-error.ts'
import { roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { verifyChange } from '../../publisher/signing.ts'
import { SimRepository } from '../sim/repository.ts'

const NAMES = ['alpha', 'alpha-0-0']

/** The channel's documents after this edit, and targets above them. */
async function signed(edit: (repo: SimRepository) => void) {
  const repo = await SimRepository.create()
  repo.delegateLine('alpha', 'alpha-0-0')
  edit(repo)
  await repo.publish(...NAMES)
  const fileOf = (role: string) => repo.file(`${repo.role(role).version}.${role}.json`)
  const targets = verifyRole(trustRoot(fileOf('root')), 'targets', roleTypes.targets, fileOf('targets'))
  const documents = new Map(NAMES.map((role) => [role, fileOf(role)]))
  return {
    context: { targets, holders: [], subject: '0a1', now: repo.now },
    change: { documents, manifests: new Map() },
  }
}

const attacks: readonly [string, (repo: SimRepository) => void][] = [
  ['a channel that delegates to no line', (repo) => void repo.delegate('alpha', { name: 'alpha-9' })],
  ['a line that others sign too', (repo) => void repo.addKey('alpha-0-0')],
  ['a line that delegates on', (repo) => void repo.delegate('alpha-0-0', { name: 'deeper' })],
]
test.each(attacks)('%s is not sent, whoever signed it', async (_what, edit) => {
  const { context, change } = await signed(edit)
  const refused = expect.objectContaining({ code: 'bad-delegation' })
  expect(() => verifyChange(context, change)).toThrow(refused)
  expect(() => verifyChange(context, change)).toThrow(TrustError)
})

test('a channel that takes a version of another one back is not sent', async () => {
  const { context, change } = await signed((repo) => {
    const withdrawn = [
      { version: '0r1', reason: 'so', severity: 'low', replace_with: null, at: '2026-11-23T10:00:00Z' },
    ]
    repo.role('alpha').channel = { ...(repo.role('alpha').channel as object), withdrawn }
  })
  expect(() => verifyChange(context, change)).toThrow('expected a version of alpha, found 0r1')
})

test('a channel with its lines is sent', async () => {
  const { context, change } = await signed(() => undefined)
  expect(verifyChange(context, change)).toEqual([])
})
