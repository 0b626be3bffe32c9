// Bundles out of a simulated repository, as the publisher makes them; and out of whatever an attacker likes.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { collectBundle, writeBundle } from '../../publisher/bundle.ts'
import { type ArchiveEvent, createArchiveReader } from '../../schema/archive/reader.ts'
import { TAR_END, tarHeader, tarPadding } from '../../schema/archive/tar.ts'
import { BUNDLE_INDEX, bundleLayout, writeBundleIndex } from '../../schema/bundle.ts'
import { parseVersion } from '../../schema/version.ts'
import type { SimRepository } from '../sim/repository.ts'

export interface Making {
  readonly repo: SimRepository
  readonly artifacts: ReadonlyMap<string, Uint8Array>
}

export interface MakingOptions {
  readonly others?: readonly string[]
  readonly platforms?: readonly string[]
  /** When it is made; now unless said otherwise. */
  readonly at?: Date
}

/** The publisher's own code, fed from the simulated repository. */
export async function makeBundle(
  { repo, artifacts }: Making,
  version: string,
  file: string,
  options: MakingOptions = {},
): Promise<string> {
  const startedAt = options.at ?? new Date()
  const content = await collectBundle(
    { metadata: repo, targets: repo.targets, root: repo.file('1.root.json'), startedAt },
    {
      version: parseVersion(version),
      others: (options.others ?? []).map(parseVersion),
      platforms: options.platforms,
    },
  )
  const openArtifact = async function* ({ sha256 }: { sha256: string }) {
    const bytes = artifacts.get(sha256)
    if (!bytes) throw new Error(`no artifact ${sha256}`)
    yield bytes
  }
  await writeBundle({ disk: nodeDisk, startedAt, openArtifact, onProgress: () => undefined }, content, file)
  return file
}

/** What an attacker can edit: the index's own words and every file. */
export interface Parts {
  product: string
  version: string
  readonly files: Map<string, Uint8Array>
}

/** Takes a bundle apart. */
export async function readParts(file: string): Promise<Parts> {
  const reader = createArchiveReader({ maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER })
  const events: readonly ArchiveEvent[] = reader.push(await readFile(file))
  const files = new Map<string, Uint8Array>()
  let open = ''
  for (const event of events) {
    if (event.type === 'entry') {
      open = event.entry.path
      if (event.entry.type === 'file') files.set(open, new Uint8Array())
    } else if (event.type === 'data') {
      files.set(open, Buffer.concat([files.get(open) ?? new Uint8Array(), event.bytes]))
    }
  }
  const { product, version } = JSON.parse(Buffer.from(files.get(BUNDLE_INDEX) ?? []).toString())
  files.delete(BUNDLE_INDEX)
  return { product, version, files }
}

/** Puts a bundle together whose index fits what it holds, whatever that is. */
export async function writeParts(file: string, { product, version, files }: Parts): Promise<string> {
  const listed = [...files].map(([path, bytes]) => ({
    path,
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }))
  const index = Buffer.from(writeBundleIndex({ product, version: parseVersion(version), files: listed }))
  return writeEntries(
    file,
    bundleLayout({ files: listed }, index.length).entries.map((entry) => ({
      header: tarHeader(entry),
      bytes: entry.type === 'directory' ? new Uint8Array() : (files.get(entry.path) ?? index),
    })),
  )
}

/** An archive of these headers and bytes, fitting or not. */
export async function writeEntries(
  file: string,
  entries: readonly { readonly header: Uint8Array; readonly bytes: Uint8Array }[],
): Promise<string> {
  const blocks = entries.flatMap(({ header, bytes }) => [header, bytes, tarPadding(bytes.length)])
  await writeFile(file, Buffer.concat([...blocks, TAR_END]))
  return file
}

/** A tar header under another name, its checksum right: what no honest writer writes. */
export function renamedHeader(header: Uint8Array, name: string): Uint8Array {
  const block = Buffer.from(header)
  block.fill(0, 0, 100)
  block.write(name, 0, 'latin1')
  block.fill(' ', 148, 156)
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
