import type { Floors } from './floors.ts'
import type { TrustStore } from './refresh.ts'

/** A trust store that is gone with the process: for a look that begins at a root and leaves nothing behind. */
export function buildMemoryTrustStore(root: Uint8Array): TrustStore {
  const files = new Map([['root.json', root]])
  let kept: Floors | undefined
  return {
    load: async (name) => files.get(name),
    save: async (name, bytes) => void files.set(name, bytes),
    remove: async (name) => void files.delete(name),
    loadFloors: async () => kept,
    saveFloors: async (floors) => {
      kept = floors
    },
  }
}
