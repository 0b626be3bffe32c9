// What this host trusts is replaced as a whole, because somebody vouched for another root out of band: after a root threshold was lost, say. Everything is
// checked beside the old trust first; then
//
//   trust/  trust.new/            being prepared: garbage until it has its other name
//   trust/  trust.next/           decided: from here on whoever opens this host brings it to its end
//   trust.20261123T100000Z/  trust.next/
//   trust.20261123T100000Z/  trust/
//
// so a power cut leaves the host wholly under the old root or wholly under the new one. Floors and cached metadata go with the old folder, which is kept; one of
// another product is kept by that product's name (trust-folder.ts). An enrolment that brings its own root is decided in the same way: who this host is lies in
// the prepared folder then, and both become true with the one rename. What is installed, the greatest version that ever ran here and the authorisations that were used are not of this folder, and stay.
import { createHash } from 'node:crypto'
import { buildFileTrustStore } from '../keys/file-trust-store.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import { removeDurable, renameDurable } from '../keys/platform/durable.ts'
import { type MetadataSource, refresh } from '../keys/refresh.ts'
import { fingerprintOf, verifyRootBytes } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import type { VerifiedRole } from '../keys/verified.ts'
import type { Root } from '../schema/metadata.ts'
import { exists } from './engine/layout.ts'
import { loadEnrolment } from './enrolled.ts'
import { type Enrolment, parseEnrolment } from './enrolment.ts'
import type { Machine } from './machine.ts'
import { loadState, saveState } from './state-file.ts'
import { beginTrust, loadProduct, putTrustAside } from './trust-folder.ts'

/** A root as people compare it. */
export interface RootFacts {
  readonly sha256: string
  /** null: the file does not verify. */
  readonly root: VerifiedRole<Root> | null
}

export interface ResetRequest {
  /** The file that somebody carried here, and the fingerprint that they were told by another way. */
  readonly bytes: Uint8Array
  readonly expectedSha256: string
  /** What this host was enrolled for, and the other product that it is meant to follow from now on, if that was said in so many words. */
  readonly product: string
  readonly otherProduct: string | undefined
}

type Place = Pick<Machine, 'disk' | 'paths' | 'files' | 'clock'>

/**
 * The root that this host may be given. Throws TrustError `hash` if the file is not the one that was vouched for, `foreign` if it is another product's,
 * else as `verifyRootBytes`.
 */
export function verifyReset({ bytes, expectedSha256, product, otherProduct }: ResetRequest): VerifiedRole<Root> {
  const actual = fingerprintOf(bytes)
  if (actual !== expectedSha256) {
    const message = `root: expected a file with the fingerprint ${expectedSha256}, found ${actual}`
    throw new TrustError('hash', message, { role: 'root', expected: expectedSha256, actual })
  }
  const root = verifyRootBytes(bytes)
  const wanted = otherProduct ?? product
  if (root.value.product === wanted) return root
  const found = root.value.product ?? 'no product'
  throw new TrustError('foreign', `root: expected the product ${wanted}, found ${found}`, {
    role: 'root',
    expected: wanted,
    actual: found,
  })
}

/** The root that is trusted now, undefined where there is none; of the trust in force unless another folder is named. */
export async function loadTrustedRoot(
  { disk, paths }: Pick<Place, 'disk' | 'paths'>,
  folder = paths.trust,
): Promise<RootFacts | undefined> {
  const bytes = await buildFileTrustStore(disk, folder).load('root.json')
  if (!bytes) return undefined
  try {
    return { sha256: fingerprintOf(bytes), root: verifyRootBytes(bytes) }
  } catch (error) {
    if (!(error instanceof TrustError)) throw error
    return { sha256: createHash('sha256').update(bytes).digest('hex'), root: null }
  }
}

/** What a reset left. */
export interface ResetEnd {
  /** Where the old trust is kept, null: there was none. */
  readonly kept: string | null
  /** As verified under the new root; null: nobody was asked. */
  readonly timestampVersion: number | null
  readonly rootVersion: number
}

/**
 * Puts this root in the place of everything that is trusted. With a source, the repository is verified under it first, and a repository that does not
 * verify changes nothing: throws as `refresh`. The caller holds the locks of updates and of trust.
 */
export async function resetTrust(
  place: Place,
  root: VerifiedRole<Root>,
  source: MetadataSource | undefined,
): Promise<ResetEnd> {
  const { disk, paths, clock } = place
  const { preparing, decided } = foldersOf(paths)
  await finishReset(place)
  const store = await beginTrust(disk, preparing, root.bytes)
  const trusted = source && (await refresh({ source, store, startedAt: clock.now() }))
  if (trusted && trusted.product !== root.value.product) throw changedProduct(root.value.product, trusted.product)
  await renameDurable(disk, preparing, decided)
  return {
    kept: await finishReset(place),
    timestampVersion: trusted?.timestampVersion ?? null,
    rootVersion: (trusted?.root ?? root).value.version,
  }
}

function changedProduct(expected = 'no product', actual = 'no product'): TrustError {
  return new TrustError('foreign', `expected the repository of ${expected}, found ${actual}`, { expected, actual })
}

/** Whether a reset was decided and cut off. */
export async function isResetPending({ disk, paths }: Pick<Place, 'disk' | 'paths'>): Promise<boolean> {
  return exists(disk, foldersOf(paths).decided)
}

/**
 * What this folder trusts and this enrolment become true together, whatever was true before. A folder that is not the one in force takes its place. The caller
 * holds the lock of trust, and has verified the repository in that folder.
 */
export async function commitEnrolment(place: Place, folder: string, enrolment: Enrolment): Promise<void> {
  const { disk, paths, files } = place
  if (folder === paths.trust) return saveState(disk, files.enrolment, enrolment)
  await saveState(disk, `${folder}/${ENROLMENT_FILE}`, enrolment)
  await renameDurable(disk, folder, foldersOf(paths).decided)
  await finishReset(place)
}

const ENROLMENT_FILE = 'enrolment.state'

/** Brings a change of trust that was decided to its end; resolves with where the old trust is kept. Nothing to do where none was. The caller holds the lock of trust. */
export async function finishReset(place: Place): Promise<string | null> {
  const { disk, paths } = place
  const { decided } = foldersOf(paths)
  if (!(await exists(disk, decided))) return null
  const product = await loadProduct(disk, decided)
  await followFolder(place, decided, product)
  const kept = await putTrustAside(place, product)
  await renameDurable(disk, decided, paths.trust)
  await removeDurable(disk, `${paths.trust}/${ENROLMENT_FILE}`)
  return kept
}

/** Who this host is goes with what was decided; without a word about that, the product that it follows is the one of the root. */
async function followFolder(place: Place, folder: string, product: string | undefined): Promise<void> {
  const file = `${folder}/${ENROLMENT_FILE}`
  const decided = await loadState(place.disk, file)
  if (decided !== undefined) return saveState(place.disk, place.files.enrolment, parseEnrolment(decided, file))
  const enrolment = await loadEnrolment(place)
  if (!enrolment || product === undefined || product === enrolment.product) return
  await saveState(place.disk, place.files.enrolment, { ...enrolment, product })
}

/** Where what may take the place of the trust in force is prepared, and where it lies once that was decided. */
export function foldersOf({ trust }: Place['paths']) {
  return { preparing: `${trust}.new`, decided: `${trust}.next` }
}

/** Longest root file that is read. */
export const MAX_ROOT_BYTES = DEFAULT_LIMITS.rootBytes
