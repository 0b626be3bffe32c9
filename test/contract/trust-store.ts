import { describe, expect, it } from 'vitest'
import type { Floors } from '../../keys/floors.ts'
import type { TrustStore } from '../../keys/refresh.ts'

const floors: Floors = {
  root: 3,
  timestamp: { version: 7, keyids: ['aa'], announced: 6, announced_keyids: ['bb', 'cc'] },
  snapshot: {
    version: 6,
    keyids: ['bb', 'cc'],
    roles: new Map([
      ['targets.json', 5],
      ['__proto__.json', 2],
      ['../x.json', 1],
    ]),
  },
}

const bytes = (text: string) => new TextEncoder().encode(text)

/** What every trust store must do. `open` opens the same store again, as after a restart. */
export function testTrustStore(
  name: string,
  build: () => Promise<{ store: TrustStore; open: () => TrustStore }>,
): void {
  describe(`${name} as a trust store`, () => {
    it('gives back what was saved, byte for byte, after a restart too', async () => {
      const { store, open } = await build()
      const content = Uint8Array.of(0, 255, 10, 13, 32)
      await store.save('root.json', bytes('old'))
      await store.save('root.json', content)
      expect(Uint8Array.from((await open().load('root.json')) ?? [])).toEqual(content)
    })

    it('knows nothing of what was never saved or was removed', async () => {
      const { store } = await build()
      expect(await store.load('root.json')).toBe(undefined)
      expect(await store.loadFloors()).toBe(undefined)
      await store.save('root.json', bytes('x'))
      await store.remove('root.json')
      await store.remove('root.json')
      expect(await store.load('root.json')).toBe(undefined)
    })

    it('keeps apart what only looks alike', async () => {
      const { store, open } = await build()
      const names = [
        'a',
        'A',
        '../a',
        '/a',
        'a/../a',
        '..',
        '.',
        '%61',
        '?',
        '#',
        '__proto__',
        'floors',
        'floors.state',
        'é',
        'e\u0301',
        'x'.repeat(300),
        'x'.repeat(301),
        '\u0000',
      ]
      for (const role of names) await store.save(`${role}.json`, bytes(role))
      for (const role of names) expect(new TextDecoder().decode(await open().load(`${role}.json`))).toBe(role)
      await store.remove('A.json')
      expect(await store.load('a.json')).not.toBe(undefined)
    })

    it('keeps floors through restarts, whatever happens to the files', async () => {
      const { store, open } = await build()
      await store.save('timestamp.json', bytes('x'))
      await store.saveFloors(floors)
      await store.remove('timestamp.json')
      expect(await open().loadFloors()).toEqual(floors)
      await store.saveFloors({ root: 4, timestamp: null, snapshot: null })
      expect(await open().loadFloors()).toEqual({ root: 4, timestamp: null, snapshot: null })
    })
  })
}
