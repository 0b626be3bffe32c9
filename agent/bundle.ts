// An update out of a bundle: the same line as every other one, with a file in the server's place. The host that comes out of here has no network at all:
// what it asks for is in the file, or it is not had.
//
//   const carried = await carry(host, '/media/stick/demo-0a2.bundle', { signal })
//   await carried.explaining(() => install(carried.host, carried.engine, …))
import { basename } from 'node:path'
import { BundleError, explainBundleError } from '../keys/bundle-error.ts'
import { type Bundle, openBundle } from '../keys/bundle-source.ts'
import { explainTrustError } from '../keys/explain.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { shellWord } from '../schema/cli/shell-word.ts'
import type { Version } from '../schema/version.ts'
import { buildBundleArtifactSource } from './artifact-source.ts'
import type { EngineDeps } from './engine/deps.ts'
import { buildEngine } from './engine-building.ts'
import { isOwnDamage, unchangedWords } from './explain.ts'
import type { Host } from './host.ts'
import type { LockWait } from './update-lock.ts'

export interface Carried {
  /** The host, fed from the bundle and cut off from the network. */
  readonly host: Host
  readonly engine: EngineDeps
  readonly bundle: Bundle
  /** Runs `use`; what it refuses is told as the bundle's fault, with what to do where there is no server to ask again. */
  explaining<T>(use: () => Promise<T>): Promise<T>
}

/** Reads the whole bundle. Throws Failure (E-BUNDLE, E-FOREIGN), PlatformError for a file that can't be read. */
export async function carry(
  host: Host,
  installed: Version | null,
  file: string,
  wait: LockWait = {},
): Promise<Carried> {
  const explaining = <T>(use: () => Promise<T>) => explainBundle(file, installed, use)
  const bundle = await explaining(async () => {
    const opened = await openBundle(host.disk, file, wait.signal)
    refuseForeign(opened, host.enrolment.product)
    return opened
  })
  const carried: Host = { ...host, fetcher: noNetwork, trust: { ...host.trust, fetcher: noNetwork, carried: bundle } }
  const artifacts = buildBundleArtifactSource({ disk: host.disk, bundle })
  return { host: carried, engine: { ...buildEngine(carried, wait), artifacts }, bundle, explaining }
}

/** What the index says is nobody's word: it only spares a host of another product the longer refusal. */
function refuseForeign({ product, path }: Bundle, expected: string): void {
  if (product === expected) return
  throw new TrustError('foreign', `${basename(path)}: expected a bundle of ${expected}, found one of ${product}`, {
    expected,
    actual: product,
  })
}

/** Throws Failure E-INCOMPATIBLE, exit 3, unless the bundle carries this version. */
export function requireCarried({ bundle }: Carried, version: Version, installed: Version | null): void {
  if (bundle.versions.includes(version)) return
  throw new Failure({
    code: 'E-INCOMPATIBLE',
    exit: EXIT.refused,
    title: `${version} is not in this bundle`,
    detail: `${basename(bundle.path)} carries ${bundle.versions.join(', ')}.`,
    state: unchangedWords(installed),
    next: [`netlink update check --from ${shellWord(bundle.path)}`, `netlink-publish bundle ${version} --out FILE`],
  })
}

async function explainBundle<T>(file: string, installed: Version | null, use: () => Promise<T>): Promise<T> {
  const state = unchangedWords(installed)
  try {
    return await use()
  } catch (error) {
    if (error instanceof BundleError) throw new Failure(explainBundleError(error, state), { cause: error })
    if (!(error instanceof TrustError) || isOwnDamage(error)) throw error
    const facts = explainTrustError(error, { subject: `the bundle ${basename(file)}`, state, next: nextAfter(error) })
    throw new Failure({ ...facts, detail: `${facts.detail} (${error.code})` }, { cause: error })
  }
}

/** Nothing gets better by asking again: somebody has to carry another file. */
function nextAfter({ code }: TrustError): readonly string[] {
  const again = 'netlink-publish bundle VERSION --out FILE'
  switch (code) {
    case 'expired':
    case 'freeze':
    case 'not-yet-valid':
      return ['date -u', again]
    case 'foreign':
      return ['netlink agent config show', again]
    default:
      return ['netlink-publish verify FILE', again]
  }
}

const refuseNetwork = (url: string) =>
  Promise.reject(new PlatformError('unreachable', `${url}: an update out of a bundle asks nobody`, { url }))

/** Not one that happens to be unused: one that can't be. */
const noNetwork: Fetcher = {
  get: refuseNetwork,
  bytes: refuseNetwork,
  request: (_method, url) => refuseNetwork(url),
  close: () => undefined,
}
