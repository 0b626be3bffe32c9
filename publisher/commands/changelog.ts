// The commands about changelogs: a draft, what was published, and what would be refused.
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Command, Option } from 'commander'
import { createFileDurable } from '../../keys/platform/durable.ts'
import type { WrittenChangelog } from '../../schema/changelog.ts'
import { type MergedChangelog, mergeChangelogs } from '../../schema/changelog-merge.ts'
import { changelogJson, changelogMarkdown, changelogText, type Withdrawn } from '../../schema/changelog-text.ts'
import { renderJson } from '../../schema/cli/envelope.ts'
import { releaseJsonShape } from '../../schema/release-json.ts'
import { channelOf, channels, compareStability, compareVersions, type Version } from '../../schema/version.ts'
import { draftFromCommits, draftFromReleases, emptyDraft } from '../draft-changelog.ts'
import { versionsIn } from '../edit.ts'
import { changelogProblems } from '../lint.ts'
import type { Output } from '../output.ts'
import { PublishError } from '../publish-error.ts'
import { loadChangelog } from '../release.ts'
import type { Repository } from '../repository.ts'
import { RELEASE_JSON } from '../tree.ts'
import { type Machine, type Workshop, withLockedWorkshop, withWorkshop } from '../workshop.ts'
import { loadWrittenJson } from '../written-file.ts'
import { type CommandContext, type SharedOptions, versionArgument, withShared } from './context.ts'

/** Adds `changelog new|show|lint`. */
export function addChangelogCommands(program: Command, context: CommandContext): void {
  const changelog = program.command('changelog').description('what changed, for the people who use it')
  addNew(changelog, context)
  addShow(changelog, context)
  addLint(changelog, context)
}

// ---- new ---------------------------------------------------------------------------------------------------------------------------

interface NewOptions extends SharedOptions {
  readonly fromGit?: string
  readonly collect?: string
  readonly out?: string
}

function addNew(changelog: Command, context: CommandContext): void {
  withShared(changelog.command('new').argument('<version>', 'such as 0a2', versionArgument))
    .description('a draft to be edited: empty, from commits, or from the releases since the last one')
    .option('--from-git <range>', 'commit subjects (Conventional Commits) of a range such as v1..HEAD')
    .option('--collect <versions>', 'what the releases of a range said, such as 0a2..0b4')
    .option('--out <file>', 'write it there instead of printing it')
    .action((version: Version, options: NewOptions) =>
      context.perform(options, 'answer', (output) => draft(context.machine, output, version, options)),
    )
}

async function draft(machine: Machine, output: Output, version: Version, options: NewOptions): Promise<void> {
  const changelog = await draftOf(machine, output, options)
  const text = renderJson(changelog)
  if (options.out === undefined)
    return output.answer('netlink.publish.changelog.new/v1', { version, changelog, file: null }, text)
  const file = resolve(machine.cwd, options.out)
  await createFileDurable(machine.disk, file, new TextEncoder().encode(text), 0o644)
  output.answer(
    'netlink.publish.changelog.new/v1',
    { version, changelog, file },
    `draft with ${changelog.entries.length} entries: ${options.out}\nNext: edit it, then netlink-publish changelog lint ${version} --changelog ${options.out}`,
  )
}

async function draftOf(machine: Machine, output: Output, options: NewOptions): Promise<WrittenChangelog> {
  if (options.fromGit !== undefined && options.collect !== undefined)
    throw new PublishError('usage', 'give one of --from-git and --collect')
  if (options.fromGit !== undefined) return draftFromCommits(await subjectsOf(machine, options.fromGit))
  const range = options.collect
  if (range === undefined) return emptyDraft()
  return withLockedWorkshop(machine, output, options, 'netlink-publish changelog', async (workshop) => {
    const [from, to] = parseRange(range)
    return draftFromReleases((await mergedBetween(await workshop.refresh(), from, to)).merged)
  })
}

function parseRange(range: string): readonly [from: Version, to: Version] {
  const [from = '', to = '', ...more] = range.split('..')
  if (more.length > 0) throw new PublishError('usage', `expected two versions as in 0a2..0b4, found ${range}`)
  return [versionArgument(from), versionArgument(to)]
}

async function subjectsOf(machine: Machine, range: string): Promise<readonly string[]> {
  if (range.startsWith('-')) throw new PublishError('usage', `${range} is no range of commits`)
  try {
    const args = ['log', '--reverse', '--no-merges', '--format=%s', '--end-of-options', range]
    const { stdout } = await promisify(execFile)('git', args, { cwd: machine.cwd, maxBuffer: 16 * 1024 ** 2 })
    return stdout.split('\n').filter((line) => line !== '')
  } catch (cause) {
    const said =
      cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n')[0] : String(cause)
    throw new PublishError('usage', `git knows no range ${range}: ${said}`, {}, { cause })
  }
}

// ---- show --------------------------------------------------------------------------------------------------------------------------

interface ShowOptions extends SharedOptions {
  readonly since?: Version
  readonly format: string
  readonly offline?: boolean
}

function addShow(changelog: Command, context: CommandContext): void {
  withShared(changelog.command('show').argument('<version>', 'such as 0a2', versionArgument))
    .description('a published changelog, verified')
    .option('--since <version>', 'everything after this one', versionArgument)
    .option('--offline', 'from the trusted copy in the folder')
    .addOption(new Option('--format <format>', 'how').choices(['text', 'markdown', 'md', 'json']).default('text'))
    .action((version: Version, options: ShowOptions) =>
      context.perform({ ...options, json: options.json || options.format === 'json' }, 'answer', (output) => {
        const use = async (workshop: Workshop) => {
          const repository = options.offline ? await workshop.offline() : await workshop.refresh()
          const { merged, withdrawn } = await published(repository, version, options.since)
          const style = { color: context.streams.color, width: context.streams.columns }
          const text =
            options.format === 'text' ? changelogText(merged, withdrawn, style) : changelogMarkdown(merged, withdrawn)
          output.answer('netlink.publish.changelog.show/v1', { version, ...changelogJson(merged, withdrawn) }, text)
        }
        if (options.offline) return withWorkshop(context.machine, output, options, use)
        return withLockedWorkshop(context.machine, output, options, 'netlink-publish changelog', use)
      }),
    )
}

interface Shown {
  readonly merged: MergedChangelog
  readonly withdrawn: Withdrawn
}

async function published(repository: Repository, version: Version, since: Version | undefined): Promise<Shown> {
  if (since !== undefined) return mergedBetween(repository, since, version, 'after')
  const { changelog } = (await repository.loadManifest(version)).value
  return { merged: mergeChangelogs([changelog]), withdrawn: await withdrawnIn(repository) }
}

/** The changelogs from one version to another, of all that hosts of the later one's channel are offered; `after`: without the first. */
async function mergedBetween(
  repository: Repository,
  from: Version,
  to: Version,
  first: 'from' | 'after' = 'from',
): Promise<Shown> {
  const lowest = first === 'from' ? 0 : 1
  const versions: Version[] = []
  // A draft for a release collects what its alphas and betas said; a reader of a channel sees what that channel offered.
  const offered =
    first === 'from' ? channels : channels.filter((channel) => compareStability(channel, channelOf(to)) >= 0)
  for (const channel of offered) versions.push(...versionsIn(await repository.openDraft(channel)))
  const between = versions.filter(
    (version) => compareVersions(version, from) >= lowest && compareVersions(version, to) <= 0,
  )
  if (between.length === 0) throw new PublishError('unknown-version', `nothing was published from ${from} to ${to}`)
  const changelogs = await Promise.all(
    between.map(async (version) => (await repository.loadManifest(version)).value.changelog),
  )
  return { merged: mergeChangelogs(changelogs), withdrawn: await withdrawnIn(repository) }
}

async function withdrawnIn(repository: Repository): Promise<Withdrawn> {
  const roles = await Promise.all(channels.map((channel) => repository.loadChannel(channel)))
  return new Map(
    roles.flatMap(
      (role) => role?.value.channel.withdrawn.map(({ version, reason }) => [version, { reason }] as const) ?? [],
    ),
  )
}

// ---- lint --------------------------------------------------------------------------------------------------------------------------

interface LintOptions extends SharedOptions {
  readonly from?: string
  readonly changelog?: string
}

function addLint(changelog: Command, context: CommandContext): void {
  withShared(changelog.command('lint').argument('<version>', 'such as 0a2', versionArgument))
    .description('what would be refused about a changelog')
    .option('--from <folder>', 'folder of the release, with its release.json')
    .option('--changelog <file>', 'changelog in a file of its own')
    .action((version: Version, options: LintOptions) =>
      context.perform(options, 'answer', (output) => lint(context.machine, output, version, options)),
    )
}

async function lint(machine: Machine, output: Output, version: Version, options: LintOptions): Promise<void> {
  if (options.from === undefined && options.changelog === undefined)
    throw new PublishError('usage', 'lint needs --from DIR, --changelog FILE, or both')
  const written =
    options.from === undefined
      ? undefined
      : await loadWrittenJson(machine.disk, join(resolve(machine.cwd, options.from), RELEASE_JSON), releaseJsonShape)
  const changelog =
    options.changelog === undefined ? written?.changelog : await loadChangelog(machine, options.changelog)
  const problems = changelogProblems(changelog, written)
  const [first] = problems
  if (first !== undefined) {
    throw new PublishError('lint', `the changelog of ${version} would be refused: ${first.where} ${first.what}`, {
      problems,
      state: 'Nothing was changed.',
    })
  }
  output.answer(
    'netlink.publish.changelog.lint/v1',
    { version, problems },
    `the changelog of ${version} is fine: ${changelog?.entries.length ?? 0} entries`,
  )
}
