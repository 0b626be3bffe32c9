import { expect, test } from 'vitest'
import { findAmbiguity } from '../../server/http/request-target.ts'

test.each([
  ['/a#/b', 'without a fragment'],
  ['/a/b?where=#', 'without a fragment'],
  ['/a//b', 'without empty segments'],
  ['/a/%2e%2e/b', 'without dot segments'],
  ['/a%2fb', 'without encoded slashes'],
  ['/a%', 'in percent-encoding'],
  ['/a?b=%00', 'without NUL'],
  ['http://elsewhere/', 'begins with "/"'],
])('%s means one thing here and another elsewhere', (target, expected) => {
  expect(findAmbiguity(target)).toContain(expected)
})

test.each(['/', '/api/v1/hosts?where=name~web-*', '/repo/targets/alpha/0a1/manifest.json', '/a/%41?b=//..'])(
  '%s means the same to everybody',
  (target) => {
    expect(findAmbiguity(target)).toBeUndefined()
  },
)
