// What this host trusts of one product, as a folder: `<state>/trust` while it follows that product, `<state>/trust.of-<product>` while it does not (it left,
// or follows another). Beside what every trust store keeps, the fingerprints of all roots that were ever trusted here, so that whoever enrols this host again
// with the root of the installation media is understood, and nothing that it learnt since is forgotten.
import { join } from 'node:path'
import { buildFileTrustStore, FLOORS_FILE } from '../keys/file-trust-store.ts'
import { noFloors } from '../keys/floors.ts'
import { parseJson } from '../keys/json.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable, removeDurable, renameDurable, replaceFile } from '../keys/platform/durable.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { TrustStore } from '../keys/refresh.ts'
import { fingerprintOf, verifyRootBytes } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import { parseShape } from '../schema/parse-shape.ts'
import { type KnownRoots, knownRootsShape } from '../schema/trust-state.ts'
import { exists } from './engine/layout.ts'
import type { Machine } from './machine.ts'

export type KnownRoot = KnownRoots['roots'][number]
type Place = Pick<Machine, 'disk' | 'paths' | 'clock'>

const ROOTS_FILE = 'roots.state'
const MAX_BYTES = 1 << 20

/**
 * The store in this folder, with two rules of a host's own: a root is noted among those that were trusted before it is, and floors that are gone are damage,
 * since `beginTrust` wrote them. `loadFloors` throws TrustError `malformed` then.
 */
export function buildHostTrustStore(disk: Disk, folder: string): TrustStore {
  const store = buildFileTrustStore(disk, folder)
  return {
    ...store,
    save: async (name, bytes) => {
      if (name === 'root.json') await noteRoot(disk, folder, bytes)
      await store.save(name, bytes)
    },
    loadFloors: async () => {
      const floors = await store.loadFloors()
      if (floors || !(await store.load('root.json'))) return floors
      const path = join(folder, FLOORS_FILE)
      throw new TrustError('malformed', `the rollback floors in ${path} are gone`, { path })
    },
  }
}

/** A new folder that trusts this root and has seen nothing yet, in the place of whatever was there. */
export async function beginTrust(disk: Disk, folder: string, root: Uint8Array): Promise<TrustStore> {
  await removeDurable(disk, folder)
  await makeDirDurable(disk, folder, 0o700)
  const store = buildHostTrustStore(disk, folder)
  await store.saveFloors(noFloors)
  await store.save('root.json', root)
  return store
}

/** Every root that was ever trusted in this folder, oldest first; none where there is no trust. Throws TrustError `malformed` for a record that can't be read. */
export async function loadKnownRoots(disk: Disk, folder: string): Promise<readonly KnownRoot[]> {
  const path = join(folder, ROOTS_FILE)
  const bytes = await disk.readFile(path, MAX_BYTES).catch(undefinedIfAbsent)
  if (!bytes) return []
  try {
    return parseShape(knownRootsShape, parseJson(bytes), path).roots
  } catch (cause) {
    throw new TrustError('malformed', `the roots that were trusted, in ${path}, can't be read`, { path }, { cause })
  }
}

async function noteRoot(disk: Disk, folder: string, bytes: Uint8Array): Promise<void> {
  const known = await loadKnownRoots(disk, folder)
  const sha256 = fingerprintOf(bytes)
  if (known.some((root) => root.sha256 === sha256)) return
  const roots = [...known, { version: verifyRootBytes(bytes).value.version, sha256 }]
  const text = JSON.stringify({ schema: 'netlink.known-roots/v1', roots } satisfies KnownRoots, null, 1)
  await replaceFile(disk, join(folder, ROOTS_FILE), Buffer.from(`${text}\n`), 0o600)
}

/** The product of the root in this folder; undefined where there is none that can be read. */
export async function loadProduct(disk: Disk, folder: string): Promise<string | undefined> {
  const bytes = await buildFileTrustStore(disk, folder).load('root.json')
  try {
    return bytes && verifyRootBytes(bytes).value.product
  } catch (error) {
    if (error instanceof TrustError) return undefined
    throw error
  }
}

/** The folders in which this host trusts something: the one in force first. */
export async function listTrustFolders({ disk, paths }: Pick<Place, 'disk' | 'paths'>): Promise<readonly string[]> {
  const aside = (await disk.list(paths.state)).map(({ name }) => join(paths.state, name))
  return [paths.trust, ...aside.filter((path) => path.startsWith(`${paths.trust}.of-`))]
}

/**
 * Takes the trust in force out of it, and keeps it: under its product's name, or under a dated one where `product` takes its place. What was kept of that
 * product until now gets a dated name too. Resolves with where the trust in force is now, or else what was kept; null: there was none.
 */
export async function putTrustAside(place: Place, product: string | undefined): Promise<string | null> {
  const { disk, paths } = place
  const replaced = product === undefined ? null : await putUnderDate(place, asideOf(paths, product))
  if (!(await exists(disk, paths.trust))) return replaced
  const own = await loadProduct(disk, paths.trust)
  if (own === undefined || own === product) return putUnderDate(place, paths.trust)
  const aside = asideOf(paths, own)
  await putUnderDate(place, aside)
  await renameDurable(disk, paths.trust, aside)
  return aside
}

async function putUnderDate(place: Place, folder: string): Promise<string | null> {
  if (!(await exists(place.disk, folder))) return null
  const dated = await freeName(place)
  await renameDurable(place.disk, folder, dated)
  return dated
}

/** A product's name is one of a file too (`productShape`). */
function asideOf({ trust }: Place['paths'], product: string): string {
  return `${trust}.of-${product}`
}

/** `trust.20261123T100000Z`, or the next of that second that nobody has. */
async function freeName({ disk, paths, clock }: Place): Promise<string> {
  const stamp = `${paths.trust}.${clock.now().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
  for (let count = 1; ; count++) {
    const name = count === 1 ? stamp : `${stamp}-${count}`
    if (!(await exists(disk, name))) return name
  }
}

function undefinedIfAbsent(error: unknown): undefined {
  if (error instanceof PlatformError && error.code === 'not-found') return undefined
  throw error
}
