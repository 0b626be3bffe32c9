// Published files that are not what the database says: missing, cut, or changed by a disk or a hand. Hosts refuse them, so somebody has to put them back.
import { sql } from 'drizzle-orm'
import { percentEncode } from '../../keys/percent-encode.ts'
import { releases } from '../../schema/db/tables.ts'
import { sha256 } from './online-roles.ts'
import type { BlobStore, Db } from './ports.ts'
import { manifestKey, repositoryKeys } from './repository.ts'
import { loadAccepted, loadVersions } from './role-documents.ts'

interface Expected {
  readonly key: string
  readonly size: number
  readonly sha256: string
}

/**
 * The storage keys of all such files among roots, current roles and manifests. Object storages keep sums of their own, so only names and sizes of manifests are
 * compared there; on a disk every byte is. The timestamp and its snapshot are for published-files.ts. Throws PlatformError.
 */
export async function findDamaged(db: Db, blobs: BlobStore): Promise<ReadonlySet<string>> {
  const sizes = await listSizes(blobs)
  const damaged = new Set<string>()
  for (const file of await expectedDocuments(db)) if (!(await isWhole(blobs, sizes, file))) damaged.add(file.key)
  for (const file of await expectedManifests(db)) {
    const whole = blobs.kind === 'fs' ? await isWhole(blobs, sizes, file) : sizes.get(file.key) === file.size
    if (!whole) damaged.add(file.key)
  }
  return damaged
}

async function isWhole(blobs: BlobStore, sizes: ReadonlyMap<string, number>, file: Expected): Promise<boolean> {
  if (sizes.get(file.key) !== file.size) return false
  const bytes = await blobs.read(file.key, file.size)
  return bytes !== undefined && sha256(bytes) === file.sha256
}

async function expectedDocuments(db: Db): Promise<readonly Expected[]> {
  const { roles } = await loadAccepted(db)
  const roots = (await loadVersions(db, 'root')).map(({ version, bytes }) => ({ name: `${version}.root.json`, bytes }))
  const others = [...roles.values()].map(({ role, version, bytes }) => ({
    name: `${version}.${percentEncode(role)}.json`,
    bytes,
  }))
  return [...roots, ...others].map(({ name, bytes }) => ({
    key: repositoryKeys.metadata(name),
    size: bytes.length,
    sha256: sha256(bytes),
  }))
}

async function expectedManifests(db: Db): Promise<readonly Expected[]> {
  const rows = await db.queries
    .select({
      path: releases.path,
      sha256: releases.manifestSha256,
      size: sql<number>`octet_length(${releases.manifest})::int`,
    })
    .from(releases)
  return rows.map((row) => ({ key: manifestKey(row.path, row.sha256), size: row.size, sha256: row.sha256 }))
}

async function listSizes(blobs: BlobStore): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>()
  for (const folder of [repositoryKeys.metadataFolder, repositoryKeys.targetsFolder]) {
    for await (const { key, size } of blobs.list(folder)) sizes.set(key, size)
  }
  return sizes
}
