import { createHash } from 'node:crypto'
import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import { type Bundle, isBundle, openBundle } from '../../keys/bundle-source.ts'
import { type JsonValue, parseJson } from '../../keys/json.ts'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { fingerprintOf, verifyRootBytes } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { formatBytes } from '../../schema/cli/format.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import type { Artifact, Manifest } from '../../schema/manifest.ts'
import { channelOf, channels, compareVersions, isVersion, type Version } from '../../schema/version.ts'
import { verifyArtifact } from '../artifact-check.ts'
import { kindOf, wrongFile } from '../brought-file.ts'
import { CONFIG_FILE, findFolder, isPublisherFolder } from '../config.ts'
import { utcSeconds, versionsIn } from '../edit.ts'
import { withFreshLook } from '../fresh-look.ts'
import { trustedNames } from '../holder-names.ts'
import type { Output } from '../output.ts'
import { buildLocalRepository, type PublicRepository } from '../public-repository.ts'
import { PublishError } from '../publish-error.ts'
import { manifestsFolder, type Repository } from '../repository.ts'
import { type Machine, type Workshop, withStranger } from '../workshop.ts'
import type { CommandContext } from './context.ts'
import { type LookOptions, withOffline, withReading } from './reading.ts'

interface VerifyOptions extends LookOptions {
  readonly root?: string
}

/** Signed files, wherever they are. */
type Published = Pick<PublicRepository, 'metadata' | 'targets'>

interface Check {
  readonly check: string
  readonly detail: string
}

/** Adds `verify VERSION|URL|FILE`; the file is an artifact or a bundle. */
export function addVerify(program: Command, context: CommandContext): void {
  withOffline(
    program.command('verify').argument('<what>', 'a version, the address of a server, a bundle, or an artifact file'),
  )
    .description('check like a host that trusts nothing but its root, and list the checks made')
    .option('--root <file>', "trust this root instead of the folder's own")
    .action((what: string, options: VerifyOptions) =>
      context.perform(
        options,
        'events',
        (output) => open(context.machine, output, what, options, (workshop) => verify(workshop, what, options)),
        'Nothing was changed.',
      ),
    )
}

/** A root is all that a host has; whoever brings one needs no publisher's folder besides. */
async function open(
  machine: Machine,
  output: Output,
  what: string,
  options: VerifyOptions,
  use: (workshop: Workshop) => Promise<void>,
): Promise<void> {
  const { disk, cwd, environment } = machine
  const folder = await findFolder(disk, options.dir, environment, cwd)
  if (await isPublisherFolder(disk, folder)) return withReading(machine, output, options, 'verify', use)
  if (options.root === undefined) throw noFolder(folder, `netlink-publish verify ${shellWord(what)} --root FILE`)
  const asksServer = isVersion(what) || (!isAddress(what) && !(await isBundle(disk, resolve(cwd, what))))
  if (asksServer && (options.server ?? environment.server) === undefined)
    throw noFolder(folder, `netlink-publish verify ${shellWord(what)} --root ${shellWord(options.root)} --server URL`)
  const { product } = verifyRootBytes(await disk.readFile(resolve(cwd, options.root), DEFAULT_LIMITS.rootBytes)).value
  const server = isAddress(what) ? what : undefined
  return withStranger(machine, output, options, { product: product ?? 'none', server }, use)
}

/** Whoever only looks is not told to make a repository. */
function noFolder(folder: string, next: string): PublishError {
  return new PublishError('config', `${folder} is no publisher's folder: it has no ${CONFIG_FILE}`, {
    state: 'Nothing was verified.',
    next: [next, 'or name the folder: --dir DIR'],
  })
}

function isAddress(what: string): boolean {
  return /^https?:\/\//.test(what)
}

async function verify(workshop: Workshop, what: string, options: VerifyOptions): Promise<void> {
  const checks: Check[] = []
  const bundle = await openIfBundle(workshop, what)
  if (bundle) return verifyBundle(workshop, bundle, options, checks)
  const isUrl = isAddress(what)
  const source = isUrl ? workshop.published(what.replace(/\/+$/, '').replace(/\/repo$/, '')) : workshop.published()
  await withVerified(workshop, source, options, checks, async (repository) => {
    if (isUrl) await verifyAll(workshop, repository, source, checks)
    else if (isVersion(what))
      await verifyVersion(workshop, repository, artifactSource(workshop, source, options), what, checks)
    else await verifyFile(workshop, repository, what, checks)
    tell(workshop, what, repository, checks)
  })
}

function tell({ output }: Workshop, what: string, { trusted }: Repository, checks: readonly Check[]): void {
  output.answer(
    'netlink.publish.verify/v1',
    { subject: what, product: trusted.product ?? null, checks },
    [...checks.map(({ check, detail }) => `ok  ${check.padEnd(9)}  ${detail}`), `${what} verifies`].join('\n'),
  )
}

/** undefined unless it is a file that begins as a bundle does. */
async function openIfBundle({ machine }: Workshop, what: string): Promise<Bundle | undefined> {
  const { disk, cwd, signal } = machine
  if (isVersion(what) || isAddress(what)) return undefined
  const path = resolve(cwd, what)
  try {
    return (await isBundle(disk, path)) ? await openBundle(disk, path, signal) : undefined
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  }
}

/** A bundle as a host takes it: from the pinned root on, out of the file alone, every artifact in it unpacked. */
async function verifyBundle(
  workshop: Workshop,
  bundle: Bundle,
  options: VerifyOptions,
  checks: Check[],
): Promise<void> {
  checks.push({ check: 'bundle', detail: `${bundle.bytes} bytes, every one as its index says` })
  const source: Pick<PublicRepository, 'openArtifact'> = {
    openArtifact: (sha256, _length, signal) => bundle.openArtifact(sha256, signal),
  }
  await withVerified(workshop, bundle, { ...options, offline: false }, checks, async (repository) => {
    for (const version of bundle.versions) {
      const { artifacts } = await verifyManifestOf(workshop, repository, version, checks)
      for (const artifact of artifacts) {
        if (bundle.hasArtifact(artifact.sha256)) await checkArtifact(workshop, source, artifact, checks)
        else checks.push({ check: 'left out', detail: `${version} for ${artifact.platform} is not in this bundle` })
      }
    }
    tell(workshop, basename(bundle.path), repository, checks)
  })
}

function artifactSource(
  workshop: Workshop,
  source: PublicRepository,
  { offline }: VerifyOptions,
): Pick<PublicRepository, 'openArtifact'> {
  if (!offline) return source
  const { machine, layout } = workshop
  return buildLocalRepository(machine.disk, {
    manifests: manifestsFolder(layout.repository),
    artifacts: layout.artifacts,
  })
}

/** The repository from the folder's root, or from one that was brought, in a trust store of its own; offline as the trusted copy has it. */
async function withVerified(
  workshop: Workshop,
  source: Published,
  { root, offline }: VerifyOptions,
  checks: Check[],
  use: (repository: Repository) => Promise<void>,
): Promise<void> {
  const { machine, layout, output } = workshop
  if (offline && root !== undefined)
    throw new PublishError('usage', '--root asks the server from that root on; it does not go with --offline')
  output.phase('metadata', 'root, timestamp, snapshot, targets')
  const path = root === undefined ? layout.root : resolve(machine.cwd, root)
  const pinned = await machine.disk.readFile(path)
  const verified = (repository: Repository) => {
    checks.push(...topLevelChecks(repository, basename(path), pinned))
    return use(repository)
  }
  await (offline ? verified(await workshop.offline()) : withFreshLook(workshop, source, { root: pinned }, verified))
}

function topLevelChecks({ trusted }: Repository, file: string, pinned: Uint8Array): readonly Check[] {
  const roles = ['timestamp', 'snapshot', 'targets'].map((role) => {
    const { keyids, threshold } = trusted.signersOf(role)
    const expires = trusted.expiresAt.get(role)
    const until = expires === undefined ? '' : utcSeconds(expires)
    return { check: role, detail: `${keyids.length} valid, ${threshold} needed, expires ${until}` }
  })
  const from = `from ${file} ${fingerprintOf(pinned).slice(0, 16)}…`
  const root = `v${trusted.root.value.version}, ${from}, product ${trusted.product ?? 'none'}`
  return [{ check: 'root', detail: root }, ...roles]
}

async function verifyVersion(
  workshop: Workshop,
  repository: Repository,
  source: Pick<PublicRepository, 'openArtifact'>,
  version: Version,
  checks: Check[],
): Promise<void> {
  const { artifacts } = await verifyManifestOf(workshop, repository, version, checks)
  for (const artifact of artifacts) await checkArtifact(workshop, source, artifact, checks)
}

async function verifyManifestOf(
  workshop: Workshop,
  repository: Repository,
  version: Version,
  checks: Check[],
): Promise<Manifest> {
  const manifest = (await repository.loadManifest(version)).value
  const channel = channelOf(version)
  const { keyids, threshold } = repository.trusted.signersOf(channel)
  const names = keyids.map(trustedNames(workshop.config.holders, repository))
  checks.push({ check: 'channel', detail: `${channel} signed by ${names.join(', ')} (${threshold} needed)` })
  checks.push({ check: 'manifest', detail: `${version} of ${manifest.product}, listed with its length and hashes` })
  return manifest
}

async function checkArtifact(
  { machine, output }: Workshop,
  source: Pick<PublicRepository, 'openArtifact'>,
  artifact: Artifact,
  checks: Check[],
): Promise<void> {
  output.phase('artifact', `${artifact.platform} ${artifact.sha256.slice(0, 16)}… (${formatBytes(artifact.length)})`)
  await verifyArtifact(source.openArtifact(artifact.sha256, artifact.length, machine.signal), artifact)
  checks.push({
    check: 'artifact',
    detail: `${artifact.platform}: ${artifact.length} bytes, sha256, sha512, and the unpacked tree`,
  })
}

/** Everything that is published: each manifest, and each artifact once. */
async function verifyAll(
  workshop: Workshop,
  repository: Repository,
  source: PublicRepository,
  checks: Check[],
): Promise<void> {
  const seen = new Set<string>()
  for (const channel of channels) {
    const draft = await repository.openDraft(channel)
    const versions = [...versionsIn(draft)].sort((a, b) => compareVersions(b, a))
    for (const version of versions) {
      const { artifacts } = (await repository.loadManifest(version)).value
      for (const artifact of artifacts) {
        if (!seen.has(artifact.sha256)) await checkArtifact(workshop, source, artifact, checks)
        seen.add(artifact.sha256)
      }
    }
    if ((await repository.loadChannel(channel)) === undefined) continue
    const { keyids, threshold } = repository.trusted.signersOf(channel)
    checks.push({
      check: 'channel',
      detail: `${channel}: ${versions.length} manifest${versions.length === 1 ? '' : 's'}, ${keyids.length} valid, ${threshold} needed`,
    })
  }
}

/** What is carried from holder to holder is no artifact, and `verify` is not the command for it. */
async function refuseCarried({ disk }: Machine, path: string, file: string): Promise<void> {
  if ((await disk.stat(path)).size > MAX_CARRIED_BYTES) return
  const value = jsonOrNull(await disk.readFile(path, MAX_CARRIED_BYTES))
  if (kindOf(value) !== undefined) throw wrongFile(value, file, 'an artifact or a bundle')
}

const MAX_CARRIED_BYTES = 8 * 1_048_576

function jsonOrNull(bytes: Uint8Array): JsonValue {
  try {
    return parseJson(bytes)
  } catch (error) {
    if (error instanceof TrustError) return null
    throw error
  }
}

/** A file that somebody has: some signed release must list exactly its bytes. */
async function verifyFile(workshop: Workshop, repository: Repository, file: string, checks: Check[]): Promise<void> {
  const { machine } = workshop
  const path = resolve(machine.cwd, file)
  const hash = createHash('sha256')
  try {
    for await (const chunk of machine.disk.readChunks(path)) hash.update(chunk)
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'not-found')) throw error
    throw new PublishError('usage', `${JSON.stringify(file)} is no version, no address, and no file that is there`)
  }
  const sha256 = hash.digest('hex')
  await refuseCarried(machine, path, file)
  for (const channel of channels) {
    for (const version of versionsIn(await repository.openDraft(channel))) {
      const artifact = (await repository.loadManifest(version)).value.artifacts.find((one) => one.sha256 === sha256)
      if (artifact === undefined) continue
      checks.push({ check: 'manifest', detail: `${version} lists sha256 ${sha256}` })
      await verifyArtifact(machine.disk.readChunks(path), artifact)
      checks.push({ check: 'artifact', detail: `${file} is ${version} for ${artifact.platform}, every byte` })
      return
    }
  }
  throw new PublishError('mismatch', `${file} is no artifact of any published release: nobody signed sha256 ${sha256}`)
}
