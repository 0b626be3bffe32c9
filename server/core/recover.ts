// A database from yesterday's backup knows less than the published files, and hosts have seen those. At start, what only the files have is taken in:
// newer roots along the TUF chain, then newer role documents with their manifests, by the same checks as a submission, expiry aside.
// A database that knows nothing at all takes in a repository whose root names this server's own online keys and whose timestamp they signed.

import { parseDocument } from '../../keys/document.ts'
import { isJsonObject } from '../../keys/json.ts'
import { percentEncode } from '../../keys/percent-encode.ts'
import { refresh } from '../../keys/refresh.ts'
import { targetFile } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { trustRoot } from '../../keys/verified.ts'
import { memoryTrustStore } from './candidate.ts'
import type { Mutation } from './core.ts'
import { CoreError } from './core-error.ts'
import type { OnlineSigners } from './online-roles.ts'
import type { BlobStore, Db, Log } from './ports.ts'
import type { OpenPublication } from './publication.ts'
import { publishedMetadata, repositoryKeys } from './repository.ts'
import { type Accepted, loadAccepted } from './role-documents.ts'

export interface RecoverDeps {
  readonly db: Db
  readonly blobs: BlobStore
  readonly log: Log
  readonly publication: OpenPublication
  readonly signers: OnlineSigners
}

/** Before every expiry: what is taken in was good when it was published. */
const BEGINNING = new Date(0)
const MAX_ROOTS = 1_024
const MAX_BYTES = 5_000_000
const MUTATION: Mutation = { actor: { kind: 'server' }, reason: 'the published files are newer than the database' }

/** Takes in what only the published files have. What does not verify is left alone and logged: the server starts all the same. */
export async function recoverFromPublished(deps: RecoverDeps): Promise<void> {
  try {
    await recoverRoots(deps)
    await recoverRoles(deps)
  } catch (error) {
    if (
      !(error instanceof TrustError || error instanceof CoreError) ||
      (error instanceof CoreError && error.code === 'unavailable')
    )
      throw error
    deps.log('warn', 'repository.not_recovered', { message: error.message })
  }
}

async function recoverRoots(deps: RecoverDeps): Promise<void> {
  const { repository, root } = await loadAccepted(deps.db)
  const newer: Uint8Array[] = []
  for (let version = repository.rootVersion + 1; newer.length < MAX_ROOTS; version++) {
    const bytes = await deps.blobs.read(repositoryKeys.metadata(`${version}.root.json`), MAX_BYTES)
    if (!bytes) break
    newer.push(bytes)
  }
  if (newer.length === 0 || (!root && !(await isOurs(deps, newer)))) return
  await deps.publication.takeRoots(newer, MUTATION, BEGINNING)
  deps.log('warn', 'repository.recovered_roots', { from: repository.rootVersion + 1, count: newer.length })
}

/** Anybody may write a root that names our keys. Only we can have signed its timestamp with them. */
async function isOurs({ blobs, signers }: RecoverDeps, roots: readonly Uint8Array[]): Promise<boolean> {
  const [first] = roots
  if (!first) return false
  const store = memoryTrustStore(trustRoot(first).bytes)
  const trusted = await refresh({ source: publishedMetadata(blobs), store, startedAt: BEGINNING })
  const signedBy = trusted.signersOf('timestamp').keyids
  return signers.timestamp.some((signer) => signedBy.includes(signer.publicKey.keyid))
}

async function recoverRoles(deps: RecoverDeps): Promise<void> {
  const accepted = await loadAccepted(deps.db)
  if (!accepted.root || !(await deps.blobs.stat(repositoryKeys.timestamp))) return
  const store = memoryTrustStore(accepted.root.bytes)
  const trusted = await refresh({ source: publishedMetadata(deps.blobs), store, startedAt: BEGINNING })
  const snapshot = await store.load('snapshot.json')
  const metadata = await loadNewer(deps, accepted, snapshot)
  if (metadata.size === 0) return

  const manifests = new Map<string, Uint8Array>()
  for (const [role, bytes] of metadata) {
    const { targets } = parseDocument(bytes, role).signed
    for (const path of isJsonObject(targets) ? Object.keys(targets) : []) {
      const file = targetFile(await trusted.findTarget(path), trusted.root.value.consistent_snapshot)
      const manifest = await deps.blobs.read(repositoryKeys.target(file), MAX_BYTES)
      if (manifest) manifests.set(path, manifest)
    }
  }
  const versions = await deps.publication.takeReleases({ metadata, manifests }, MUTATION, BEGINNING)
  deps.log('warn', 'repository.recovered_roles', { roles: [...metadata.keys()], versions })
}

/** The role documents that the published snapshot lists in a newer version than the database. */
async function loadNewer(
  deps: RecoverDeps,
  accepted: Accepted,
  snapshot: Uint8Array | undefined,
): Promise<Map<string, Uint8Array>> {
  const newer = new Map<string, Uint8Array>()
  const meta = snapshot && parseDocument(snapshot, 'snapshot').signed.meta
  for (const [file, listed] of Object.entries(isJsonObject(meta) ? meta : {})) {
    const role = file.replace(/\.json$/, '')
    const version = isJsonObject(listed) ? Number(listed.version) : 0
    if (version <= (accepted.roles.get(role)?.version ?? 0)) continue
    const bytes = await deps.blobs.read(repositoryKeys.metadata(`${version}.${percentEncode(role)}.json`), MAX_BYTES)
    if (bytes) newer.set(role, bytes)
  }
  return newer
}
