import { expect, test } from 'vitest'
import { secretInName } from '../../publisher/secrets.ts'

test('the keys of an update server are a secret by their name', () => {
  expect(secretInName('srv/secrets/online.keys')).toMatch(/update server/)
  expect(secretInName('docs/online.keys.md')).toBeUndefined()
  expect(secretInName('lib/offline.keys')).toBeUndefined()
})
