// From what the engineer wrote and what was packed to what is signed.
import { isDeepStrictEqual } from 'node:util'
import type { Changelog, WrittenChangelog } from '../schema/changelog.ts'
import { type Manifest, manifestShape } from '../schema/manifest.ts'
import { parseShape } from '../schema/parse-shape.ts'
import type { ReleaseJson } from '../schema/release-json.ts'
import { type Channel, channelOf, promoteVersion, type Version } from '../schema/version.ts'
import { utcSeconds } from './edit.ts'
import type { Packed } from './pack.ts'
import { PublishError } from './publish-error.ts'

export interface ManifestFacts {
  readonly product: string
  readonly version: Version
  /** The newest version of the same channel until now; null for the first. */
  readonly previous: Version | null
  readonly now: Date
  readonly written: ReleaseJson
  readonly changelog: WrittenChangelog
  /** One for each platform. */
  readonly packed: readonly Packed[]
}

/** The manifest of a new release. Throws PublishError `usage` if release.json names another product; ShapeError if what comes out is no manifest. */
export function buildManifest(facts: ManifestFacts): Manifest {
  const { product, version, written, packed } = facts
  if (written.product !== undefined && written.product !== product) {
    throw new PublishError(
      'usage',
      `release.json is for the product ${written.product}, this repository is for ${product}`,
    )
  }
  const manifest = {
    schema: 'netlink.manifest/v1',
    product,
    version,
    channel: channelOf(version),
    released_at: utcSeconds(facts.now),
    promoted_from: null,
    artifacts: packed.map(({ artifact }) => artifact),
    requirements: written.requirements,
    compatibility: written.compatibility,
    database_version: written.database_version,
    config_version: written.config_version,
    database_migrations: written.database_migrations,
    config_migrations: written.config_migrations,
    dependencies: written.dependencies.map(({ manager, lock }) => ({ manager, lock, sha256: hashOf(lock, packed) })),
    service: written.service,
    restart_units: written.restart_units,
    self_tests: written.self_tests,
    hooks: written.hooks,
    changelog: completeChangelog(facts.changelog, version, facts.previous, facts.now),
  }
  return parseShape(manifestShape, manifest, `manifest of ${version}`)
}

/** A lock file's hash stands in the manifest once, so it has to be the same on every platform. */
function hashOf(lock: string, packed: readonly Packed[]): string {
  const [first, ...others] = packed.map(({ hashes }) => hashes.get(lock))
  if (first === undefined || others.some((other) => other !== first)) {
    throw new PublishError('lint', `dependencies: ${lock} is not there, or not the same, on every platform`)
  }
  return first
}

/** What the engineer wrote, with what is known at publish. */
export function completeChangelog(
  { $schema, ...written }: WrittenChangelog,
  version: Version,
  previous: Version | null,
  now: Date,
): Changelog {
  void $schema
  return { ...written, version, previous, date: written.date ?? utcSeconds(now).slice(0, 10) }
}

/**
 * The manifest of the same bytes under the letter of a more stable channel: only version, channel, times and the changelog's own version change.
 * `changelog` replaces the text where the engineer wrote another one for the new audience.
 */
export function promoteManifest(
  manifest: Manifest,
  facts: {
    readonly to: Channel
    readonly previous: Version | null
    readonly now: Date
    readonly changelog: WrittenChangelog | undefined
  },
): Manifest {
  const version = promoteVersion(manifest.version, facts.to)
  const promoted = {
    ...manifest,
    version,
    channel: facts.to,
    released_at: utcSeconds(facts.now),
    promoted_from: manifest.version,
    changelog: facts.changelog
      ? completeChangelog(facts.changelog, version, facts.previous, facts.now)
      : { ...manifest.changelog, version, previous: facts.previous },
  }
  if (!isDeepStrictEqual(promoted.artifacts, manifest.artifacts))
    throw new Error('a promotion may not change artifacts')
  return parseShape(manifestShape, promoted, `manifest of ${version}`)
}

/** The bytes that are published and hashed: one line a value, so that a person can read them. */
export function manifestBytes(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`)
}
