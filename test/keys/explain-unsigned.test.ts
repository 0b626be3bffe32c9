// What an operator reads when signatures are missing: how many there are, whose they are, and who can help.
import { expect, it } from 'vitest'
import { explainTrustError } from '../../keys/explain.ts'
import { TrustError, type TrustErrorFacts } from '../../keys/trust-error.ts'

const context = { subject: 'it', state: 'nothing was changed' }
const explain = (facts: TrustErrorFacts, keyNames?: ReadonlyMap<string, string>) =>
  explainTrustError(new TrustError('unsigned', 'said', facts), { ...context, keyNames })
const SIGN = ['netlink-publish status', 'netlink-publish publish VERSION --signer NAME --passphrase-file NAME=FILE']
const SERVER = ['netlink-server doctor', 'netlink update check']

it.each<[TrustErrorFacts, string, string, readonly string[]]>([
  [{}, '0 valid signatures, 1 is', 'role it: have: nobody; missing one of: nobody', SIGN],
  [
    { role: 'alpha', have: ['abcdef'], candidates: ['123456', 'fedcba'], threshold: 2 },
    '1 valid signature, 2 are',
    'role alpha: have: key abcd…; missing one of: key 1234…, key fedc…',
    SIGN,
  ],
  [
    { role: 'timestamp', have: ['abcdef', '123456'], threshold: 3 },
    '2 valid signatures, 3 are',
    'role timestamp: have: key abcd…, key 1234…; missing one of: nobody',
    SERVER,
  ],
  [{ role: 'snapshot' }, '0 valid signatures, 1 is', 'role snapshot: have: nobody; missing one of: nobody', SERVER],
])('%j', (facts, title, detail, next) => {
  expect(explain(facts)).toMatchObject({ title: `it has ${title} needed`, detail, next })
})

it('calls keys by the names of their holders, where they are known', () => {
  const { detail } = explain({ role: 'alpha', have: ['abcdef'], candidates: ['123456'] }, new Map([['abcdef', 'ann']]))
  expect(detail).toBe('role alpha: have: ann (key abcd…); missing one of: key 1234…')
})

it('leaves the next command to whoever knows better, and other refusals their own', () => {
  const error = new TrustError('expired', 'beta expired', { role: 'timestamp' })
  expect(explainTrustError(error, context)).toMatchObject({
    detail: 'beta expired',
    next: ['date -u', 'netlink update check'],
  })
  expect(explainTrustError(error, { ...context, next: ['x'] }).next).toEqual(['x'])
})
