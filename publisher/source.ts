// What a release is made from: one folder for each platform, and one release.json that speaks for all of them.
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { matchesPattern } from '../keys/path-pattern.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { platformShape } from '../schema/manifest.ts'
import { type ReleaseJson, releaseJsonShape } from '../schema/release-json.ts'
import { PublishError } from './publish-error.ts'
import { RELEASE_JSON, type TreeRules } from './tree.ts'
import { loadWrittenJsonIfThere } from './written-file.ts'

/** A folder for one platform. */
export interface Source {
  readonly platform: string
  /** Absolute. */
  readonly folder: string
  readonly rules: TreeRules
}

export interface Sources {
  readonly sources: readonly Source[]
  /** What the engineer wrote; of several folders they must agree but for platform, `exclude` and `allow_secrets`. */
  readonly written: ReleaseJson
  /** The file it stands in. */
  readonly file: string
}

/**
 * The folders that `--from` names, `DIR` or `PLATFORM=DIR`, with what release.json says. Throws PublishError `usage` if there is none, if a platform comes
 * twice or if two files disagree; ShapeError for mistakes in release.json.
 */
export async function loadSources(disk: Disk, from: readonly string[], cwd: string): Promise<Sources> {
  const loaded = await Promise.all(from.map((argument) => loadSource(disk, argument, cwd)))
  const [first, ...others] = loaded.filter((one) => one.written !== undefined)
  const written = first?.written
  if (first === undefined || written === undefined) throw noReleaseJson(loaded.map(({ folder }) => folder))
  const stranger = others.find((one) => one.written && !isDeepStrictEqual(shared(one.written), shared(written)))
  if (stranger !== undefined) {
    throw new PublishError(
      'usage',
      `${stranger.file} and ${first.file} say different things; only platform, exclude and allow_secrets may differ`,
    )
  }
  const sources = loaded.map((one) => ({
    platform: one.platform ?? one.written?.platform ?? written.platform,
    folder: one.folder,
    rules: rulesOf(one.written ?? written),
  }))
  checkPlatforms(sources)
  return { sources, written, file: first.file }
}

interface Loaded {
  readonly platform: string | undefined
  readonly folder: string
  readonly file: string
  readonly written: ReleaseJson | undefined
}

async function loadSource(disk: Disk, argument: string, cwd: string): Promise<Loaded> {
  const [, named, rest] = /^([a-z0-9]+-[a-z0-9_]+|any)=(.+)$/.exec(argument) ?? []
  const folder = resolve(cwd, rest ?? argument)
  const platform = named === undefined ? undefined : platformShape.parse(named)
  if ((await disk.stat(folder)).kind !== 'directory') throw new PublishError('usage', `${folder} is not a folder`)
  const file = join(folder, RELEASE_JSON)
  return { platform, folder, file, written: await loadWrittenJsonIfThere(disk, file, releaseJsonShape) }
}

function shared({ platform, exclude, allow_secrets, ...rest }: ReleaseJson): object {
  void [platform, exclude, allow_secrets]
  return rest
}

function rulesOf(written: ReleaseJson): TreeRules {
  return { isExcluded: matchesAny(written.exclude), isAllowedSecret: matchesAny(written.allow_secrets) }
}

function matchesAny(patterns: readonly string[]): (path: string) => boolean {
  const trimmed = patterns.map((pattern) => pattern.replace(/\/$/, ''))
  return (path) => trimmed.some((pattern) => matchesPattern(pattern, path))
}

function checkPlatforms(sources: readonly Source[]): void {
  const platforms = sources.map(({ platform }) => platform)
  const twice = platforms.find((platform, index) => platforms.indexOf(platform) !== index)
  if (twice !== undefined) {
    throw new PublishError('usage', `platform ${twice} comes twice; name each as in --from linux-x64=DIR`)
  }
}

function noReleaseJson(folders: readonly string[]): PublishError {
  const [folder] = folders
  if (folder === undefined) throw new PublishError('usage', 'a release needs at least one --from DIR')
  return new PublishError(
    'usage',
    `${join(folder, RELEASE_JSON)} is not there: it says what the release is and how it runs`,
    {
      next: [`write ${join(folder, RELEASE_JSON)}; docs/examples shows how`],
    },
  )
}
