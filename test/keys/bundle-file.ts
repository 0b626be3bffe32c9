// Bundles out of nothing but an index and files: what is in them need not be signed, because opening a bundle asks nobody who signed.
import { createHash } from 'node:crypto'
import type { ArchiveEntry } from '../../schema/archive/entry.ts'
import { TAR_END, tarHeader, tarPadding } from '../../schema/archive/tar.ts'
import { BUNDLE_INDEX, bundleLayout, writeBundleIndex } from '../../schema/bundle.ts'
import { parseVersion } from '../../schema/version.ts'

export const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

export const ARTIFACT = Buffer.alloc(1500, 'a')
export const OTHER_ARTIFACT = Buffer.from('another artifact')
export const ROOT = Buffer.from('{"root":1}')
export const MANIFEST = Buffer.from('{"manifest":1}')
export const MANIFEST_FILE = `alpha/0a1/${sha256Of(MANIFEST)}.manifest.json`

export const CONTENT: ReadonlyMap<string, Uint8Array> = new Map([
  [`repo/artifacts/${sha256Of(ARTIFACT)}`, ARTIFACT],
  [`repo/artifacts/${sha256Of(OTHER_ARTIFACT)}`, OTHER_ARTIFACT],
  ['repo/metadata/1.root.json', ROOT],
  [`repo/targets/${MANIFEST_FILE}`, MANIFEST],
])

export interface Entry {
  readonly header: ArchiveEntry
  readonly bytes: Uint8Array
}

/** The index's text for this content. */
export function indexOf(content: ReadonlyMap<string, Uint8Array>): string {
  const files = [...content].map(([path, bytes]) => ({ path, length: bytes.length, sha256: sha256Of(bytes) }))
  return writeBundleIndex({ product: 'demo', version: parseVersion('0a1'), files })
}

/** Every entry of the bundle that holds this, with what stands in it: `index` may say something else. */
export function entriesOf(content: ReadonlyMap<string, Uint8Array>, index = indexOf(content)): Entry[] {
  const text = Buffer.from(index)
  const files = [...content].map(([path, bytes]) => ({ path, length: bytes.length, sha256: sha256Of(bytes) }))
  const bytesAt = (path: string) => (path === BUNDLE_INDEX ? text : (content.get(path) ?? new Uint8Array()))
  return bundleLayout({ files }, text.length).entries.map((header) => ({ header, bytes: bytesAt(header.path) }))
}

/** The archive that these entries make, fitting or not. */
export function archiveOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ header, bytes }) => [tarHeader(header), bytes, tarPadding(bytes.length)])
  return Buffer.concat([...blocks, TAR_END])
}
