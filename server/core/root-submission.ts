// Roots that a publisher hands in: the first one while there is none, if it names this server's own online keys; later ones only along the TUF chain, each
// signed by a threshold of the one before and of its own. After new keys for anything, all that is published must still verify for a host that follows:
// the roles that have to be signed again for that come along, and are checked as any submission is.
import { TrustError } from '../../keys/trust-error.ts'
import { trustRoot, type VerifiedRole, verifyNextRoot } from '../../keys/verified.ts'
import type { Root } from '../../schema/metadata.ts'
import { channels } from '../../schema/version.ts'
import { unverified, verifyCandidate } from './candidate.ts'
import { CoreError } from './core-error.ts'
import { decideSigners, sha256 } from './online-roles.ts'
import type { Db } from './ports.ts'
import { type Accepted, loadVersions, type RoleDocument } from './role-documents.ts'
import { type Checked, checkSubmission, requireEnd, type SubmissionDeps } from './submission.ts'

export interface RootDeps extends SubmissionDeps {
  readonly db: Db
}

export interface SubmittedRoots {
  /** Consecutive, oldest first. */
  readonly roots: readonly Uint8Array[]
  /** targets, channel and line roles by name. */
  readonly metadata: ReadonlyMap<string, Uint8Array>
  /** Of releases that those list and that are not here, by target path. */
  readonly manifests: ReadonlyMap<string, Uint8Array>
}

/** What accepting the roots changes. */
export interface FreshRoots {
  readonly documents: readonly RoleDocument[]
  readonly product: string
  readonly rootVersion: number
  /** As of any submission. */
  readonly releases: Checked['releases']
  readonly withdrawn: Checked['withdrawn']
}

/** Throws CoreError 'conflict' for another repository's root, 'unverified' where a host would refuse, 'refused' for a root that this server can't serve. */
export async function checkRoots(
  deps: RootDeps,
  accepted: Accepted,
  submitted: SubmittedRoots,
  now: Date,
): Promise<FreshRoots> {
  const stored = new Map((await loadVersions(deps.db, 'root')).map((document) => [document.version, document]))
  try {
    const chain = followChain(accepted.root, stored, submitted.roots)
    const root = chain.at(-1) ?? (accepted.root && trustRoot(accepted.root.bytes))
    if (!root) throw new CoreError('invalid', 'expected at least one root')
    const product = checkRoot(deps, accepted, root)
    for (const { value } of chain) requireEnd('root', value.expires, deps.clock.now())
    const again = await checkAgain(deps, accepted, root, submitted, now)
    const isAlone = again === undefined || again.documents.length === 0
    if (isAlone && chain.length > 0) await checkAllRoles(deps, accepted, root, now)
    const documents = [...chain.map(rootDocument), ...(again?.documents ?? [])]
    const { releases, withdrawn }: Pick<Checked, 'releases' | 'withdrawn'> = again ?? {
      releases: [],
      withdrawn: new Map(),
    }
    return { documents, product, rootVersion: root.value.version, releases, withdrawn }
  } catch (error) {
    throw unverified(error)
  }
}

/** What is signed again, held against what is accepted as if the new root were accepted already. */
async function checkAgain(
  deps: RootDeps,
  accepted: Accepted,
  root: VerifiedRole<Root>,
  { metadata, manifests }: Pick<SubmittedRoots, 'metadata' | 'manifests'>,
  now: Date,
): Promise<Checked | undefined> {
  if (metadata.size === 0 && manifests.size === 0) return undefined
  const after = { ...accepted, root: rootDocument(root) }
  return checkSubmission(deps, after, { metadata, manifests }, now)
}

/** The roots that are new, each signed by a threshold of the one before and of its own. */
function followChain(
  current: RoleDocument | undefined,
  stored: ReadonlyMap<number, RoleDocument>,
  submitted: readonly Uint8Array[],
): VerifiedRole<Root>[] {
  const chain: VerifiedRole<Root>[] = []
  let last = current && trustRoot(current.bytes)
  for (const bytes of submitted) {
    const claimed = trustRoot(bytes)
    const { version } = claimed.value
    const known = stored.get(version)
    if (known?.sha256 === sha256(bytes)) continue
    if (known) {
      throw new CoreError(
        'conflict',
        `this server has another root version ${version}: one server holds one repository`,
        {
          reason: 'other-root',
          expected: known.sha256,
          actual: sha256(bytes),
        },
      )
    }
    const expected = (last?.value.version ?? 0) + 1
    if (version !== expected)
      throw new TrustError('wrong-version', `expected root version ${expected}, came ${version}`, {
        role: 'root',
        expected: String(expected),
        actual: String(version),
      })
    last = last ? verifyNextRoot(last, bytes) : claimed
    chain.push(last)
  }
  return chain
}

/** Its product. Throws CoreError 'refused' for a root that this server could not serve. */
function checkRoot(deps: RootDeps, accepted: Accepted, { value: root }: VerifiedRole<Root>): string {
  if (root.product === undefined)
    throw new CoreError('refused', 'expected a root that names its product', { reason: 'foreign' })
  const { product } = accepted.repository
  if (product !== null && product !== root.product) {
    throw new CoreError('refused', `this repository is of ${product}, and the root names ${root.product}`, {
      reason: 'foreign',
      expected: product,
      actual: root.product,
    })
  }
  if (!root.consistent_snapshot)
    throw new CoreError('refused', 'expected a root with consistent snapshots', { reason: 'consistent-snapshot' })
  decideSigners(root, deps.signers, 'snapshot')
  decideSigners(root, deps.signers, 'timestamp')
  return root.product
}

/** After new keys for anything, everything that is published must still verify for a host that follows. */
async function checkAllRoles(
  deps: RootDeps,
  { repository, roles }: Accepted,
  root: VerifiedRole<Root>,
  now: Date,
): Promise<void> {
  if (!roles.has('targets')) {
    if (root.value.expires > now) return
    throw new TrustError('expired', `root version ${root.value.version} has expired`, { role: 'root' })
  }
  const numbers = {
    snapshotVersion: repository.snapshotVersion + 1,
    timestampVersion: repository.timestampVersion + 1,
  }
  const trusted = await verifyCandidate(deps, { root: root.bytes, roles, ...numbers }, now)
  for (const channel of channels) if (roles.has(channel)) await trusted.loadChannel(channel)
}

function rootDocument(root: VerifiedRole<Root>): RoleDocument {
  const { version, expires } = root.value
  return {
    role: 'root',
    version,
    bytes: root.bytes,
    sha256: sha256(root.bytes),
    expires,
    signedBy: root.signedBy.valid,
    threshold: root.signedBy.threshold,
  }
}
