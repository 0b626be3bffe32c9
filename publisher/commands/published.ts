// What the commands that build and publish have in common.
import type { Command } from 'commander'
import { formatBytes } from '../../schema/cli/format.ts'
import type { Manifest } from '../../schema/manifest.ts'
import type { Delivered } from '../deliver.ts'
import { audienceOf } from '../lint.ts'
import type { Output } from '../output.ts'
import type { Built } from '../release.ts'
import type { SignerOptions } from '../workshop.ts'
import { collect, type SharedOptions, versionArgument } from './context.ts'

/** Flags of commands that read a release from folders. */
export interface FromOptions extends SharedOptions {
  readonly from: readonly string[]
  readonly changelog?: string
}

/** Flags of commands that sign and publish. */
export interface ChangeOptions extends SharedOptions, SignerOptions {
  readonly dryRun?: boolean
}

/** Adds the version and the flags that say where its files are. */
export function withSources(command: Command): Command {
  return command
    .argument('<version>', 'such as 0a1', versionArgument)
    .requiredOption('--from <folder>', 'DIR, or PLATFORM=DIR for each platform', collect)
    .option('--changelog <file>', 'changelog in a file of its own, instead of the one in release.json')
}

/** What came out, for people. */
export function builtWords({ packed, version }: Built): string {
  return packed
    .map(({ artifact, file }) =>
      [
        `${version} for ${artifact.platform}: ${formatBytes(artifact.length)}, ${entriesWords(artifact.entries)}, ${formatBytes(artifact.unpacked_bytes)} unpacked`,
        `  sha256 ${artifact.sha256}`,
        `  tree   ${artifact.tree_sha256}`,
        `  ${file}`,
      ].join('\n'),
    )
    .join('\n')
}

/** The answer of every command that published a release. */
export function answerPublished(output: Output, schema: string, manifest: Manifest, delivered: Delivered): void {
  const { version, channel, artifacts, promoted_from } = manifest
  const { keyids, threshold } = delivered.repository.trusted.signersOf(channel)
  const bytes = artifacts.reduce((sum, { length }) => sum + length, 0)
  const from = promoted_from === null ? '' : ` (the bytes of ${promoted_from})`
  output.answer(
    schema,
    {
      dry_run: false,
      version,
      channel,
      promoted_from,
      artifacts,
      signatures: keyids.length,
      threshold,
      snapshot_version: delivered.answer.snapshot_version,
      timestamp_version: delivered.answer.timestamp_version,
      public_url: delivered.publicUrl,
    },
    [
      `verified ${delivered.publicUrl}: ${version} is there as it was signed, ${keyids.length} valid signature${keyids.length === 1 ? '' : 's'} (threshold ${threshold})`,
      `${version} is published${from}: ${formatBytes(bytes)}, offered to ${audienceOf(version)}`,
    ].join('\n'),
  )
}

/** `1 entry`, `2 entries`. */
export function entriesWords(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`
}
