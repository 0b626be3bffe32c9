// Versions that failed on this host, or were left by a rollback. Automatic updates pass them over until a newer one comes; a person may name them.
import { z } from 'zod'
import type { Disk } from '../../keys/platform/disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { sha256Shape, timeShape } from '../../schema/manifest.ts'
import { type Version, versionShape } from '../../schema/version.ts'
import type { Paths } from '../paths.ts'
import { jsonBytes, loadJsonFile } from './layout.ts'

const entryShape = z.object({
  version: versionShape,
  /** Of its tree: a promotion is another version with the same bytes. Entries of older agents lack it. */
  tree_sha256: sha256Shape.optional(),
  update_id: z.string(),
  at: timeShape,
  /** An EngineCode, or `left` for a version that a rollback left. */
  code: z.string(),
  message: z.string(),
})
export type QuarantineEntry = z.infer<typeof entryShape>

const quarantineShape = z.object({ schema: z.literal('netlink.quarantine/v1'), versions: z.array(entryShape) })
const KEPT_ENTRIES = 100

/** All quarantined versions, each once, oldest first. Throws ShapeError or PlatformError: a file that can't be read is no permission. */
export async function loadQuarantine(disk: Disk, paths: Paths): Promise<readonly QuarantineEntry[]> {
  return (await loadJsonFile(disk, paths.quarantine, quarantineShape))?.versions ?? []
}

/** Adds or renews one version. */
export async function addQuarantine(disk: Disk, paths: Paths, entry: QuarantineEntry): Promise<void> {
  const others = (await loadQuarantine(disk, paths)).filter((one) => one.version !== entry.version)
  await save(disk, paths, [...others, entry].slice(-KEPT_ENTRIES))
}

/** The entry that keeps this release away: its own, or one of the same bytes. */
export function findQuarantine(
  entries: readonly QuarantineEntry[],
  release: { readonly version: Version; readonly treeSha256: string },
): QuarantineEntry | undefined {
  return (
    entries.find(({ version }) => version === release.version) ??
    entries.find(({ tree_sha256 }) => tree_sha256 === release.treeSha256)
  )
}

/** Takes a version out, and whatever has the same bytes: it was committed. */
export async function removeQuarantine(
  disk: Disk,
  paths: Paths,
  release: { readonly version: Version; readonly treeSha256: string },
): Promise<void> {
  const all = await loadQuarantine(disk, paths)
  const others = all.filter((one) => one.version !== release.version && one.tree_sha256 !== release.treeSha256)
  if (others.length < all.length) await save(disk, paths, others)
}

async function save(disk: Disk, paths: Paths, versions: readonly QuarantineEntry[]): Promise<void> {
  await replaceFile(disk, paths.quarantine, jsonBytes({ schema: 'netlink.quarantine/v1', versions }), 0o600)
}
