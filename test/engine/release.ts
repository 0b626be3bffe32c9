// Releases for the engine's tests: a real archive, a real manifest, really signed and really verified.
import { createHash } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { refresh } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import type { Verified } from '../../keys/verified.ts'
import type { ArchiveEntry } from '../../schema/archive/entry.ts'
import { TAR_END, tarHeader, tarPadding } from '../../schema/archive/tar.ts'
import { treeDigest } from '../../schema/archive/tree-digest.ts'
import type { JsonObject, JsonValue } from '../../schema/json-value.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { parseVersion } from '../../schema/version.ts'
import { SimRepository } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'

/** Paths with their content; a path that begins with `!` is a program. Folders are made as needed. */
export type Files = Readonly<Record<string, string | Uint8Array>>

export interface TestRelease {
  readonly verified: Verified<Manifest>
  readonly manifest: Manifest
  /** The archive as the server has it. */
  readonly archive: Uint8Array
}

export interface Packed {
  readonly archive: Uint8Array
  readonly artifact: JsonObject
}

/** Packs files as the publisher does. */
export function pack(files: Files, platform = 'any'): Packed {
  const entries = entriesOf(files)
  const tar = Buffer.concat([
    ...entries.flatMap(({ entry, data }) => [tarHeader(entry), data, tarPadding(entry.size)]),
    TAR_END,
  ])
  return describeArchive(zstdCompressSync(tar), entries, platform)
}

/** What a manifest says about these bytes, true or not. */
export function describeArchive(
  archive: Uint8Array,
  entries: readonly { entry: ArchiveEntry; data: Uint8Array }[],
  platform = 'any',
): Packed {
  const tree = entries.map(({ entry, data }) => ({
    ...entry,
    sha256: entry.type === 'file' ? sha256(data) : null,
  }))
  const artifact = {
    platform,
    length: archive.length,
    sha256: sha256(archive),
    sha512: createHash('sha512').update(archive).digest('hex'),
    format: 'tar+zstd',
    unpacked_bytes: entries.reduce((sum, { entry }) => sum + entry.size, 0),
    entries: entries.length,
    tree_sha256: treeDigest(tree, createHash('sha256')),
  }
  return { archive, artifact }
}

/** The entries of these files and of the folders that hold them, in the archive's order. */
export function entriesOf(files: Files): { entry: ArchiveEntry; data: Uint8Array }[] {
  const folders = new Set<string>()
  const found: { entry: ArchiveEntry; data: Uint8Array }[] = []
  for (const [name, content] of Object.entries(files)) {
    const path = name.replace(/^!/, '')
    const parts = path.split('/').slice(0, -1)
    for (let depth = 1; depth <= parts.length; depth++) folders.add(parts.slice(0, depth).join('/'))
    const data = typeof content === 'string' ? Buffer.from(content) : content
    const mode = name.startsWith('!') ? 0o755 : 0o644
    found.push({ entry: { path, type: 'file', mode, size: data.length }, data })
  }
  for (const path of folders) {
    found.push({ entry: { path, type: 'directory', mode: 0o755, size: 0 }, data: new Uint8Array() })
  }
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.entry.path), Buffer.from(b.entry.path)))
}

/** A repository that signs what it is given and hands it back verified. */
export async function createPublisher() {
  const repo = await SimRepository.create({ product: 'demo' })
  return {
    async release(
      version: string,
      packed: Packed,
      changes: Readonly<Record<string, JsonValue>> = {},
    ): Promise<TestRelease> {
      await repo.release(version, { artifacts: [packed.artifact], ...changes })
      const trusted = await refresh({
        source: repo,
        store: new SimTrustStore(repo.file('1.root.json')),
        startedAt: repo.now,
      })
      const verified = await verifyManifest(trusted, repo.targets, parseVersion(version))
      return { verified, manifest: verified.value, archive: packed.archive }
    },
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
