// A new release from its folders, as one straight line: check -> build -> edit -> sign -> verify what was signed -> keep -> deliver.

import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import type { Keyring } from '../keys/key-file.ts'
import { type WrittenChangelog, writtenChangelogShape } from '../schema/changelog.ts'
import type { Manifest } from '../schema/manifest.ts'
import type { ManifestCustom } from '../schema/metadata.ts'
import { manifestPath } from '../schema/release-path.ts'
import { type Channel, channelOf, compareVersions, maxVersion, type Version } from '../schema/version.ts'
import {
  applyRelease,
  type ChannelDraft,
  type ClosedRole,
  checkNewer,
  closeChannel,
  utcSeconds,
  versionsIn,
} from './edit.ts'
import { type Findings, lintRelease } from './lint.ts'
import { buildManifest, manifestBytes } from './manifest.ts'
import { type Packed, packSource } from './pack.ts'
import { savePending } from './pending.ts'
import { PublishError } from './publish-error.ts'
import { type Repository, unpublishedChannels } from './repository.ts'
import { type Change, signAll, verifyChange } from './signing.ts'
import { loadSources, type Sources } from './source.ts'
import { findTwins } from './twins.ts'
import type { Workshop } from './workshop.ts'
import { loadWrittenJson } from './written-file.ts'

/** A release that was packed and checked, before anybody signs it. */
export interface Built {
  readonly version: Version
  readonly sources: Sources
  readonly packed: readonly Packed[]
  readonly changelog: WrittenChangelog | undefined
  readonly findings: Findings
}

/** Packs the folders into the publisher's `artifacts` and looks for whatever is wrong. Throws PublishError, ShapeError; findings are for the caller. */
export async function buildRelease(
  workshop: Pick<Workshop, 'machine' | 'output' | 'layout'>,
  version: Version,
  from: readonly string[],
  options: { readonly changelog?: string | undefined; readonly lastBytes?: ReadonlyMap<string, number> } = {},
): Promise<Built> {
  const { machine, output, layout } = workshop
  const sources = await loadSources(machine.disk, from, machine.cwd)
  const packed: Packed[] = []
  for (const source of sources.sources) {
    output.phase('pack', `pack ${source.folder} for ${source.platform}`)
    const onProgress = (done: number, total: number) => output.progress('pack', done, total)
    packed.push(await packSource({ disk: machine.disk, signal: machine.signal, onProgress }, source, layout.artifacts))
  }
  const changelog =
    options.changelog === undefined ? sources.written.changelog : await loadChangelog(machine, options.changelog)
  const facts = { version, written: sources.written, changelog, packed, lastBytes: options.lastBytes ?? new Map() }
  return { version, sources, packed, changelog, findings: lintRelease(facts) }
}

/** A changelog in a file of its own. */
export function loadChangelog(machine: Workshop['machine'], file: string): Promise<WrittenChangelog> {
  return loadWrittenJson(machine.disk, resolve(machine.cwd, file), writtenChangelogShape)
}

/** Warnings are said; errors are thrown, all of them at once. */
export function requireClean({ output }: Pick<Workshop, 'output'>, { version, findings }: Built): void {
  for (const { where, what } of findings.warnings) output.warn(`${where} ${what}`)
  if (findings.errors.length === 0) return
  const [first, ...more] = findings.errors
  const others = more.length > 0 ? ` (and ${more.length} more)` : ''
  throw new PublishError('lint', `${version} can't be released: ${first?.where} ${first?.what}${others}`, {
    problems: findings.errors,
  })
}

/**
 * The version that this one follows: the greatest below it, withdrawn or not; null if there is none. Refuses before minutes are spent on packing what could not be
 * published anyway: throws PublishError as `checkNewer`.
 */
export function requireNewer(draft: ChannelDraft, version: Version): Version | null {
  checkNewer(draft, version)
  return maxVersion(versionsIn(draft).filter((one) => compareVersions(one, version) < 0)) ?? null
}

/** The manifest of what was built, for this place in the repository. */
export function manifestOf(built: Built, facts: { product: string; previous: Version | null; now: Date }): Manifest {
  const { changelog } = built
  if (changelog === undefined) throw new PublishError('lint', `${built.version} has no changelog`)
  return buildManifest({
    ...facts,
    version: built.version,
    written: built.sources.written,
    changelog,
    packed: built.packed,
  })
}

/** The channel with this manifest in it. `bytes`: its file, where it was written elsewhere. */
export function withManifest(draft: ChannelDraft, manifest: Manifest, bytes = manifestBytes(manifest)): ChannelDraft {
  const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
  const custom: ManifestCustom = {
    version: manifest.version,
    platforms: manifest.artifacts.map(({ platform }) => platform),
    released_at: manifest.released_at,
  }
  return applyRelease(draft, {
    custom,
    length: bytes.length,
    sha256: digest('sha256'),
    sha512: digest('sha512'),
    barrier: manifest.compatibility.barrier,
    deadEnd: manifest.compatibility.dead_end,
  })
}

/** What is signed in one go: a channel's documents with the manifest they list, if there is a new one. */
export interface Signing {
  readonly subject: Version
  readonly draft: ChannelDraft
  readonly manifest: Manifest | undefined
}

/**
 * Signs, keeps what was signed under `pending/` (so that others can add to it and nothing has to be packed twice), and verifies it as agents will.
 * Throws PublishError `unsigned`, with the command that adds a signature.
 */
export async function signAndKeep(
  workshop: Workshop,
  repository: Repository,
  keyrings: readonly Keyring[],
  { subject, draft, manifest }: Signing,
): Promise<Change> {
  const { machine, output, layout } = workshop
  const now = machine.clock.now()
  output.phase('sign', `sign ${subject} as ${keyrings.map(({ holder }) => holder).join(', ')}`)
  const documents = await signAll(await closeDrafts(repository, draft, now), keyrings)
  const keyids = keyrings.flatMap(({ keys }) => keys.map(({ signer }) => signer.publicKey.keyid))
  for (const { what, where, name, isOver } of await findTwins(workshop, documents, keyids))
    if (name !== subject && !isOver) output.warn(`another ${what} was signed here before: ${where}`)
  const manifests = new Map(manifest ? [[manifestPath(manifest.version), manifestBytes(manifest)]] : [])
  const change = { documents, manifests }
  const artifacts = manifest?.artifacts.map(({ sha256, length }) => ({ sha256, length })) ?? []
  await savePending(machine.disk, layout.pending, { subject, signedAt: utcSeconds(now), change, artifacts })
  verifyOrExplain(workshop, repository, subject, change)
  return change
}

/** Everything that has to be signed for this draft: its channel and lines, and channels that were never published. */
export async function closeDrafts(
  repository: Repository,
  draft: ChannelDraft,
  now: Date,
): Promise<readonly ClosedRole[]> {
  const drafts = [draft, ...(await missingDrafts(repository, draft.channel))]
  return drafts.flatMap((one) => closeChannel(one, now))
}

/** As verifyChange; where signatures are missing, with the command for the next holder. */
export function verifyOrExplain(
  { config, machine }: Workshop,
  { targets }: Repository,
  subject: Version,
  change: Change,
): void {
  try {
    verifyChange({ targets, holders: config.holders, subject, now: machine.clock.now() }, change)
  } catch (error) {
    if (!(error instanceof PublishError && error.code === 'unsigned')) throw error
    const [next = 'NAME'] = error.facts.standing?.missing ?? []
    throw new PublishError(
      'unsigned',
      error.message,
      {
        ...error.facts,
        state: `Nothing was published; what is signed so far waits in ${config.folder}.`,
        next: [
          `netlink-publish publish ${subject} --dir ${config.folder} --signer ${next} --passphrase-file ${next}=FILE`,
          `netlink-publish propose ${subject} --dir ${config.folder}`,
        ],
      },
      { cause: error },
    )
  }
}

/** Every channel exists from the first publication on: hosts that follow several ask for each of them. */
async function missingDrafts(repository: Repository, channel: Channel): Promise<readonly ChannelDraft[]> {
  const missing = unpublishedChannels(repository).filter((name) => name !== channel)
  return Promise.all(missing.map((name) => repository.openDraft(name)))
}

/** Packed bytes of the newest release of the channel, to notice one that suddenly is twice as large. */
export async function lastBytesOf(repository: Repository, version: Version): Promise<ReadonlyMap<string, number>> {
  const role = await repository.loadChannel(channelOf(version))
  const withdrawn = new Set(role?.value.channel.withdrawn.map((one) => one.version))
  const listed = [...(role?.value.targets.values() ?? [])].map(({ custom }) => custom.version)
  const newest = maxVersion(listed.filter((one) => !withdrawn.has(one)))
  if (newest === undefined) return new Map()
  const { artifacts } = (await repository.loadManifest(newest)).value
  return new Map(artifacts.map(({ platform, length }) => [platform, length]))
}
