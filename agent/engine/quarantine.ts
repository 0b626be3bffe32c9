// Versions that failed on this host, or were left by a rollback. Automatic updates pass them over until a newer one comes; a person may name them.
import { z } from 'zod'
import type { Disk } from '../../keys/platform/disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { timeShape } from '../../schema/manifest.ts'
import { type Version, versionShape } from '../../schema/version.ts'
import type { Paths } from '../paths.ts'
import { jsonBytes, loadJsonFile } from './layout.ts'

const entryShape = z.object({
  version: versionShape,
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

/** Takes a version out: it was committed. */
export async function removeQuarantine(disk: Disk, paths: Paths, version: Version): Promise<void> {
  const all = await loadQuarantine(disk, paths)
  const others = all.filter((one) => one.version !== version)
  if (others.length < all.length) await save(disk, paths, others)
}

async function save(disk: Disk, paths: Paths, versions: readonly QuarantineEntry[]): Promise<void> {
  await replaceFile(disk, paths.quarantine, jsonBytes({ schema: 'netlink.quarantine/v1', versions }), 0o600)
}
