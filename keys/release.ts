import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { type Manifest, manifestShape } from '../schema/manifest.ts'
import type { Root } from '../schema/metadata.ts'
import { channelOf, type Version } from '../schema/version.ts'
import { percentEncode } from './percent-encode.ts'
import { PlatformError } from './platform/platform-error.ts'
import type { Trusted } from './refresh.ts'
import { TrustError } from './trust-error.ts'
import { trustRoot, type Verified, type VerifiedRole, type VerifiedTarget, verifyTarget } from './verified.ts'

/** Where target files come from. It is trusted with nothing. */
export interface TargetSource {
  /** The file at this path below the repository's targets (`alpha/0a1/<sha256>.manifest.json`, each segment percent-encoded). As MetadataSource.load. */
  load(path: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array | 'missing'>
}

/**
 * The signed manifest of a version: listed by its channel's role or that channel's line (Trusted.findRelease), with the length and hashes that role says, of this repository's product,
 * and of the version and channel that its path says. Throws TrustError `not-delegated`, `bad-delegation`, `missing`, `hash`, `malformed` or `foreign`.
 */
export async function verifyManifest(
  trusted: Trusted,
  source: TargetSource,
  version: Version,
  signal?: AbortSignal,
): Promise<Verified<Manifest>> {
  const target = await trusted.findRelease(version)
  const bytes = await loadTarget(trusted, source, target, signal)
  const manifest = verifyTarget(target, bytes, manifestShape)
  verifySame('product', trusted.product, manifest.value.product, target)
  verifySame('version', version, manifest.value.version, target)
  verifySame('channel', channelOf(version), manifest.value.channel, target)
  return manifest
}

/** The target's bytes as the source has them, at most as many as signed metadata says. Not verified. Throws TrustError `missing` or `hash` (too long). */
export async function loadTarget(
  trusted: Trusted,
  source: TargetSource,
  target: VerifiedTarget,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const file = targetFile(target, trusted.root.value.consistent_snapshot)
  const bytes = await source.load(file, target.length, signal).catch((cause: unknown) => {
    if (!(cause instanceof PlatformError && cause.code === 'too-large')) throw cause
    const facts = { path: target.path, expected: `${target.length} bytes`, actual: 'more' }
    throw new TrustError('hash', `${target.path}: expected ${target.length} bytes, found more`, facts, { cause })
  })
  if (bytes === 'missing') throw new TrustError('missing', `the repository has no ${file}`, { path: target.path })
  return bytes
}

/** Where a target lies below the repository's targets: with consistent snapshots the hash stands before the last name (TUF 6.2). Percent-encoded. */
export function targetFile(target: VerifiedTarget, consistentSnapshot: boolean): string {
  const names = target.path.split('/').map(percentEncode)
  if (!consistentSnapshot) return names.join('/')
  const digest = target.hashes.get('sha256') ?? target.hashes.get('sha512')
  if (digest === undefined)
    throw new TrustError('hash', `${target.path}: expected a sha256 or sha512 hash`, { path: target.path })
  return [...names.slice(0, -1), `${digest}.${names.at(-1)}`].join('/')
}

/** A root that was vouched for out of band, checked against itself. Throws TrustError; see trustRoot. */
export function verifyRootBytes(bytes: Uint8Array): VerifiedRole<Root> {
  return trustRoot(bytes)
}

/** What people read to each other to agree on a root: SHA-256 over the file, lower-case hexadecimal. */
export function fingerprintOf(rootBytes: Uint8Array): string {
  return bytesToHex(sha256(rootBytes))
}

function verifySame(what: string, expected: string | undefined, actual: string, { path }: VerifiedTarget): void {
  if (actual === expected) return
  const wanted = expected ?? `none, as root names none`
  throw new TrustError('foreign', `${path}: expected the ${what} ${wanted}, found ${actual}`, {
    path,
    expected: wanted,
    actual,
  })
}
