// Which trust an enrolment goes on with. A host that trusted this product before keeps what it learnt: the newest root it followed, and how far the repository
// had come. The root that it is given now only has to be one of the same chain: the first that it pinned, say, as it lies on the installation media. Taking
// that one for the beginning again would make keys count that were taken back since, and nobody enrols a host to say that.
//
//   given a root that was trusted here before      -> what is trusted stays
//   given one that leads to those, or follows them -> the same
//   given any other of this product                -> refused: only `agent trust reset` takes another, with its fingerprint told by another way
//   nothing of this product was trusted            -> begins anew, beside, with this root
import { buildHttpSource } from '../keys/http-source.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { type MetadataSource, refresh, type Trusted } from '../keys/refresh.ts'
import { fingerprintOf, verifyRootBytes } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import { type VerifiedRole, verifyNextRoot } from '../keys/verified.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { Root } from '../schema/metadata.ts'
import { loadEnrolment } from './enrolled.ts'
import { verifyGiven } from './given-file.ts'
import type { Machine } from './machine.ts'
import { repositoryUrl } from './trust.ts'
import { beginTrust, buildHostTrustStore, listTrustFolders, loadKnownRoots, loadProduct } from './trust-folder.ts'
import { finishReset, foldersOf } from './trust-reset.ts'

type GivenFile = Extract<GivenRoot, { kind: 'file' }>

/** The root document, or the fingerprint of one that the server is asked for. */
export type GivenRoot =
  | { readonly kind: 'file'; readonly file: string; readonly bytes: Uint8Array }
  | { readonly kind: 'fingerprint'; readonly sha256: string }

/** What was verified, in the folder where it lies: the trust in force, or one that `commitEnrolment` puts there. */
export interface ChosenTrust {
  readonly folder: string
  readonly product: string
  readonly trusted: Trusted
}

/**
 * The trust to go on with, refreshed from this server. Nothing that was in force is replaced by it. Throws Failure E-OTHER-ROOT for a root that does not belong
 * to what this host trusts, TrustError for a root or a repository that does not verify, PlatformError. The caller holds the lock of trust.
 */
export async function chooseTrust(
  machine: Machine,
  fetcher: Fetcher,
  { server, root: given }: { readonly server: string; readonly root: GivenRoot },
): Promise<ChosenTrust> {
  await finishReset(machine)
  const { disk, paths } = machine
  const source = buildHttpSource(fetcher, repositoryUrl(server, 'metadata'))
  const kept = await findFolder(machine, async (folder) => {
    const sha256 = given.kind === 'file' ? fingerprintOf(given.bytes) : given.sha256
    return (await loadKnownRoots(disk, folder)).some((known) => known.sha256 === sha256)
  })
  if (kept !== undefined) return refreshIn(machine, source, kept)
  const root = given.kind === 'file' ? verifyFile(given) : verifyRootBytes(await fetchRoot(source, given.sha256))
  const { product } = root.value
  if (product === undefined) throw foreignProduct('a product in the signed root', 'none')
  const own = await findFolder(machine, async (folder) => (await loadProduct(disk, folder)) === product)
  if (own !== undefined) return keepIfOfChain(machine, source, own, root)
  if ((await loadEnrolment(machine))?.product === product) throw await otherRoot(machine, root, undefined)
  const { preparing } = foldersOf(paths)
  await beginTrust(disk, preparing, root.bytes)
  return refreshIn(machine, source, preparing).catch((error: unknown) => {
    throw given.kind === 'file' && isOfOthers(error) ? otherRepository(given, { server, root }, error) : error
  })
}

const FROM_HOLDERS = "the root that the release engineers gave out, the publisher's root.json"

/** The file that was given, or its own name with what it should have been. */
function verifyFile({ file, bytes }: GivenFile): VerifiedRole<Root> {
  return verifyGiven({ words: `--trust-root ${file}`, expected: FROM_HOLDERS }, bytes, () => verifyRootBytes(bytes))
}

/** Whether the keys that this root names signed nothing that this server shows: they are of different repositories, or one of them is forged. */
function isOfOthers(error: unknown): error is TrustError {
  return error instanceof TrustError && error.code === 'unsigned' && error.facts.have?.length === 0
}

function otherRepository(
  { file }: GivenFile,
  { server, root }: { readonly server: string; readonly root: VerifiedRole<Root> },
  cause: TrustError,
): Failure {
  const { version, product } = root.value
  const facts = {
    code: 'E-SIG-THRESHOLD',
    exit: EXIT.unverified,
    title: `what ${server} shows is not signed by the keys of --trust-root ${file}`,
    detail: `The file is root ${version} of ${product}, sha256:${fingerprintOf(root.bytes)}; expected ${FROM_HOLDERS}, of the product that this server serves. ${cause.message} (${cause.code})`,
    state: 'Nothing was changed; the token was not shown.',
    next: [`netlink-publish keys fingerprint      (the holders': to compare)`, 'netlink agent enroll --help'],
  }
  return new Failure(facts, { cause })
}

async function findFolder(
  machine: Machine,
  matches: (folder: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (const folder of await listTrustFolders(machine)) if (await matches(folder)) return folder
  return undefined
}

async function refreshIn({ disk, clock }: Machine, source: MetadataSource, folder: string): Promise<ChosenTrust> {
  const store = buildHostTrustStore(disk, folder)
  const trusted = await refresh({ source, store, startedAt: clock.now() })
  if (trusted.product === undefined) throw foreignProduct('a product in the signed root', 'none')
  return { folder, product: trusted.product, trusted }
}

async function keepIfOfChain(
  machine: Machine,
  source: MetadataSource,
  folder: string,
  root: VerifiedRole<Root>,
): Promise<ChosenTrust> {
  const [oldest] = await loadKnownRoots(machine.disk, folder)
  const isAncestor =
    oldest !== undefined && root.value.version < oldest.version && (await leadsTo(source, root, oldest))
  if (isAncestor) return refreshIn(machine, source, folder)
  try {
    const chosen = await refreshIn(machine, withRoot(source, root), folder)
    const known = await loadKnownRoots(machine.disk, folder)
    if (known.some(({ sha256 }) => sha256 === fingerprintOf(root.bytes))) return chosen
  } catch (cause) {
    if (cause instanceof TrustError) throw await otherRoot(machine, root, cause)
    throw cause
  }
  throw await otherRoot(machine, root, undefined)
}

/** The same repository, to which somebody brought a root that it does not show. It is followed only if the root before it signed it, like any other. */
function withRoot(source: MetadataSource, { bytes, value }: VerifiedRole<Root>): MetadataSource {
  return {
    load: async (file, maxBytes, signal) => {
      const shown = await source.load(file, maxBytes, signal)
      return shown === 'missing' && file === `${value.version}.root.json` ? bytes : shown
    },
  }
}

/** Whether this root comes to the other, each one signed by the one before. */
async function leadsTo(
  source: MetadataSource,
  from: VerifiedRole<Root>,
  to: { readonly version: number; readonly sha256: string },
): Promise<boolean> {
  let root = from
  try {
    for (let version = from.value.version + 1; version <= to.version; version++) {
      const bytes = await source.load(`${version}.root.json`, DEFAULT_LIMITS.rootBytes)
      if (bytes === 'missing') return false
      root = verifyNextRoot(root, bytes)
    }
  } catch (error) {
    if (error instanceof TrustError) return false
    throw error
  }
  return fingerprintOf(root.bytes) === to.sha256
}

/** The root of this fingerprint, among those that the server has: what it says about them counts for nothing. */
async function fetchRoot(source: MetadataSource, sha256: string): Promise<Uint8Array> {
  for (let version = 1; version <= DEFAULT_LIMITS.roots; version++) {
    const bytes = await source.load(`${version}.root.json`, DEFAULT_LIMITS.rootBytes)
    if (bytes === 'missing') break
    if (fingerprintOf(bytes) === sha256) return bytes
  }
  throw new TrustError('no-root', `the server has no root with the fingerprint ${sha256}`, {
    role: 'root',
    expected: sha256,
  })
}

async function otherRoot(machine: Machine, { bytes, value }: VerifiedRole<Root>, cause: unknown): Promise<Failure> {
  const enrolment = await loadEnrolment(machine)
  const facts = {
    code: 'E-OTHER-ROOT',
    exit: EXIT.unverified,
    title: `this is no root that this host's trust of ${value.product} comes from`,
    detail:
      `Root ${value.version}, sha256:${fingerprintOf(bytes)}, was never trusted here, and neither leads to what is nor follows it. Taking it would forget ` +
      'which keys were taken back and how far the repository had come.',
    state: enrolment
      ? `Nothing was changed; this host stays enrolled at ${enrolment.server}.`
      : 'Nothing was changed; this host is not enrolled.',
    next: [
      'netlink agent trust show',
      'netlink agent trust reset --root FILE --expect-sha256 HASH      (where its holders began anew; enrol after it)',
    ],
  }
  return new Failure(facts, cause === undefined ? undefined : { cause })
}

/** One repository is one product's. */
export function foreignProduct(expected: string, actual: string): TrustError {
  return new TrustError('foreign', `expected the repository of ${expected}, found ${actual}`, { expected, actual })
}
