import { expect, it } from 'vitest'
import { noFloors } from '../../keys/floors.ts'
import { buildMemoryTrustStore } from '../../keys/memory-trust-store.ts'
import { utf8 } from '../sim/repository.ts'

it('begins with the root alone, and keeps what is saved until it is removed', async () => {
  const store = buildMemoryTrustStore(utf8('root'))
  expect(await store.load('root.json')).toEqual(utf8('root'))
  expect(await store.load('timestamp.json')).toBeUndefined()
  expect(await store.loadFloors()).toBeUndefined()
  await store.save('timestamp.json', utf8('time'))
  await store.saveFloors({ ...noFloors, root: 3 })
  expect(await store.load('timestamp.json')).toEqual(utf8('time'))
  expect(await store.loadFloors()).toEqual({ ...noFloors, root: 3 })
  await store.remove('timestamp.json')
  expect(await store.load('timestamp.json')).toBeUndefined()
  expect(await store.load('root.json')).toEqual(utf8('root'))
})

it('is one of its own each time', async () => {
  const [one, other] = [buildMemoryTrustStore(utf8('1')), buildMemoryTrustStore(utf8('2'))]
  await one.save('root.json', utf8('3'))
  expect([await one.load('root.json'), await other.load('root.json')]).toEqual([utf8('3'), utf8('2')])
})
