import { basename, dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { Option } from 'commander'
import { checkFile } from '../../keys/platform/checked-file.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { formatBytes, formatDuration } from '../../schema/cli/format.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import type { Artifact } from '../../schema/manifest.ts'
import type { Version } from '../../schema/version.ts'
import { type BundleContent, collectBundle, type WrittenBundle, writeBundle } from '../bundle.ts'
import { utcSeconds } from '../edit.ts'
import type { PublicRepository } from '../public-repository.ts'
import { PublishError } from '../publish-error.ts'
import type { Workshop } from '../workshop.ts'
import { type CommandContext, collect, type SharedOptions, versionArgument, withShared } from './context.ts'
import { withReading } from './reading.ts'

interface BundleOptions extends SharedOptions {
  readonly out: string
  readonly platform?: readonly string[]
  readonly with?: readonly Version[]
}

/** Adds `bundle VERSION --out FILE`. */
export function addBundle(program: Command, context: CommandContext): void {
  withShared(program.command('bundle').argument('<version>', 'such as 0a1', versionArgument))
    .description('one file with a release and all that proves it, for hosts without a network')
    .requiredOption('--out <file>', 'where to write it; a file that is there is replaced')
    .addOption(
      new Option('--platform <platform>', 'only artifacts for this one, as in linux-x64; repeat for several').argParser(
        collect,
      ),
    )
    .addOption(
      new Option('--with <version>', 'carry this one too: a barrier on the way; repeat for several').argParser(
        (value: string, before: readonly Version[] = []) => [...before, versionArgument(value)],
      ),
    )
    .action((version: Version, options: BundleOptions) =>
      context.perform(options, 'events', (output) =>
        withReading(context.machine, output, options, 'bundle', (workshop) => bundle(workshop, version, options)),
      ),
    )
}

async function bundle(workshop: Workshop, version: Version, options: BundleOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const { disk, clock, signal } = machine
  const file = resolve(machine.cwd, options.out)
  await refuseFolder(workshop, file)
  const source = workshop.published()
  const startedAt = clock.now()
  output.phase('metadata', 'every root, timestamp, snapshot, targets, channels, manifests')
  const content = await collectBundle(
    { ...source, root: await disk.readFile(layout.root), startedAt, signal },
    { version, others: options.with ?? [], platforms: options.platform },
  )
  warn(workshop, content)
  output.phase(
    'bundle',
    `${basename(file)}: ${content.artifacts.length} artifact${content.artifacts.length === 1 ? '' : 's'}, read back before it gets its name`,
  )
  const written = await writeBundle(
    {
      disk,
      startedAt,
      signal,
      openArtifact: (artifact) => openArtifact(workshop, source, artifact),
      onProgress: (done, total) => output.progress('bundle', done, total),
    },
    content,
    file,
  )
  answer(workshop, content, written, file)
}

async function refuseFolder({ machine }: Workshop, file: string): Promise<void> {
  const kindOf = async (path: string) => {
    try {
      return (await machine.disk.stat(path)).kind
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'not-found') return 'nothing'
      throw error
    }
  }
  if ((await kindOf(dirname(file))) !== 'directory') throw new PublishError('usage', `${dirname(file)} is no folder`)
  if (!['nothing', 'file'].includes(await kindOf(file)))
    throw new PublishError('usage', `--out ${file} is a folder or a device: name a file`)
}

/** What was packed here, if it still lies here whole; else what is published. */
async function* openArtifact(
  { machine, layout }: Workshop,
  source: PublicRepository,
  artifact: Artifact,
): AsyncGenerator<Uint8Array> {
  const { disk, signal } = machine
  const here = resolve(layout.artifacts, artifact.sha256)
  let isHere = true
  try {
    await checkFile(disk, here, artifact)
  } catch (error) {
    const isAway = error instanceof PlatformError && error.code === 'not-found'
    if (!isAway && !(error instanceof TrustError)) throw error
    isHere = false
  }
  yield* isHere ? disk.readChunks(here) : source.openArtifact(artifact.sha256, artifact.length, signal)
}

function warn({ output }: Workshop, { missingBarriers, leftOut, version }: BundleContent): void {
  for (const barrier of missingBarriers)
    output.warn(`hosts below ${barrier} must install it before ${version}: carry it too, --with ${barrier}`)
  for (const channel of leftOut)
    output.warn(`the channel ${channel} does not verify now: hosts that follow it can't use this bundle`)
}

function answer(
  { output, machine }: Workshop,
  content: BundleContent,
  { bytes, sha256 }: WrittenBundle,
  file: string,
): void {
  const { version, manifests, artifacts, expiresFirst } = content
  const versions = manifests.map((manifest) => manifest.version)
  const platforms = [...new Set(artifacts.map(({ platform }) => platform))].toSorted()
  const expiresAt = utcSeconds(expiresFirst.at)
  output.answer(
    'netlink.publish.bundle/v1',
    {
      version,
      versions,
      platforms,
      file,
      bytes,
      sha256,
      expires_at: expiresAt,
      expires_role: expiresFirst.role,
      missing_barriers: content.missingBarriers,
    },
    [
      `${basename(file)}: ${versions.join(', ')} for ${platforms.join(', ')}, ${formatBytes(bytes)}, read back and verified`,
      `  sha256 ${sha256}`,
      `  hosts take it until ${expiresAt}, when ${expiresFirst.role} expires (in ${formatDuration(expiresFirst.at.getTime() - machine.clock.now().getTime())})`,
      `Next, on the host: netlink update upgrade --from ${shellWord(basename(file))}`,
    ].join('\n'),
  )
}
