// Numbers that a thief of the server's keys has driven up, in a publisher's trusted copy. It refuses the server's honest ones then, as hosts do, until a root
// names other keys; and that root has to be made over something. So whoever changes or renews root looks once more, by what was signed offline alone:
//
//   timestamp, snapshot     any number: those keys are what may be stolen
//   root, targets, channels at least what lies in the trusted copy, as ever
//
// Nothing of this look is kept. What is made over it is refused by server and hosts like anything else that does not come next.
import { parseDocument } from '../keys/document.ts'
import type { Floors } from '../keys/floors.ts'
import type { TrustStore } from '../keys/refresh.ts'
import { TrustError } from '../keys/trust-error.ts'
import { trustRoot } from '../keys/verified.ts'
import { channels } from '../schema/version.ts'

/** Whether the repository was refused for being older than the trusted copy, root aside: no key of the server's says anything about that. */
export function isOlderThanSeen(error: unknown): error is TrustError {
  return error instanceof TrustError && error.code === 'rollback' && error.facts.role !== 'root'
}

/** The trusted copy, remembering of the server's numbers nothing. What is saved stays in memory. */
export function withoutOnlineNumbers(store: TrustStore): TrustStore {
  const own = new Map<string, Uint8Array>()
  const gone = new Set(['timestamp.json', 'snapshot.json'])
  const load = async (name: string) => own.get(name) ?? (gone.has(name) ? undefined : await store.load(name))
  let floors: Promise<Floors | undefined> | undefined
  return {
    load,
    save: async (name, bytes) => void own.set(name, bytes),
    remove: async (name) => {
      own.delete(name)
      gone.add(name)
    },
    loadFloors: () => {
      floors ??= offlineFloors(store)
      return floors
    },
    saveFloors: async (next) => {
      floors = Promise.resolve(next)
    },
  }
}

/** Floors that only documents set which were signed offline. They rest on all present snapshot keys: a root that leaves one of those forgets nothing of them. */
async function offlineFloors(store: TrustStore): Promise<Floors | undefined> {
  const [floors, root] = [await store.loadFloors(), await store.load('root.json')]
  if (floors === undefined || root === undefined) return floors
  const roles = new Map<string, number>()
  for (const role of ['targets', ...channels]) {
    const bytes = await store.load(`${role}.json`)
    if (bytes !== undefined) roles.set(`${role}.json`, Number(parseDocument(bytes, role).signed.version))
  }
  const keyids = trustRoot(root).value.roles.get('snapshot')?.keyids ?? []
  return { root: floors.root, timestamp: null, snapshot: { version: 0, keyids, roles } }
}
