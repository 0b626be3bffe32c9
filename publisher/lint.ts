// What is wrong with a release before it is signed. An error would break on a host or mislead its reader; a warning is for the engineer to decide.
import type { WrittenChangelog } from '../schema/changelog.ts'
import { lintChangelog } from '../schema/changelog-lint.ts'
import type { ReleaseJson } from '../schema/release-json.ts'
import { channelOf, compareVersions, type Version } from '../schema/version.ts'
import type { Packed } from './pack.ts'
import type { Problem } from './publish-error.ts'

export interface Findings {
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
}

export interface LintFacts {
  readonly version: Version
  readonly written: ReleaseJson
  readonly changelog: WrittenChangelog | undefined
  readonly packed: readonly Packed[]
  /** Packed bytes of the newest release of the channel, by platform, as far as they are known. */
  readonly lastBytes: ReadonlyMap<string, number>
}

/** Everything that can be found without running the release. */
export function lintRelease(facts: LintFacts): Findings {
  const { version, written, changelog, packed } = facts
  const errors = [
    ...missingFiles(written, packed),
    ...compatibilityErrors(written, version),
    ...changelogProblems(changelog, written),
  ]
  return { errors, warnings: [...serviceWarnings(written), ...sizeWarnings(packed, facts.lastBytes)] }
}

/** What is wrong with a changelog, the release's migrations in mind. */
export function changelogProblems(
  changelog: WrittenChangelog | undefined,
  written: ReleaseJson | undefined,
): readonly Problem[] {
  if (changelog === undefined) {
    return [{ where: 'changelog', what: 'is missing: write it in release.json or give --changelog FILE' }]
  }
  const migrations = {
    database: (written?.database_migrations.length ?? 0) > 0,
    config: (written?.config_migrations.length ?? 0) > 0,
  }
  return lintChangelog(changelog, migrations).map(({ pointer, message }) => ({
    where: `changelog${pointer.replaceAll('/', '.')}`,
    what: message,
  }))
}

interface Mention {
  readonly where: string
  readonly path: string
  readonly kind: 'file' | 'program'
}

/** Files that release.json names must be inside, on every platform; what is started must be executable. */
function missingFiles(written: ReleaseJson, packed: readonly Packed[]): readonly Problem[] {
  return mentionsOf(written).flatMap(({ where, path, kind }) =>
    packed.flatMap(({ artifact, hashes, programs }) => {
      const platform = packed.length > 1 ? ` for ${artifact.platform}` : ''
      if (!hashes.has(path)) return [{ where, what: `${path} is not in the release${platform}` }]
      if (kind === 'program' && !programs.has(path)) {
        return [{ where, what: `${path} is not executable${platform}: chmod +x` }]
      }
      return []
    }),
  )
}

function mentionsOf(written: ReleaseJson): readonly Mention[] {
  const argvs: readonly (readonly [string, readonly string[]])[] = [
    ...(written.service ? [['service.argv', written.service.argv] as const] : []),
    ...written.self_tests.map(({ argv }, index) => [`self_tests[${index}].argv`, argv] as const),
    ...written.hooks.map(({ argv }, index) => [`hooks[${index}].argv`, argv] as const),
  ]
  const programs = argvs.flatMap(([where, [program = '']]) =>
    program.startsWith('./') ? [{ where, path: program.slice(2), kind: 'program' as const }] : [],
  )
  const files = [
    ...written.database_migrations.flatMap(({ up, verify, down }, index) =>
      [up, verify, down].map((path) => ({ where: `database_migrations[${index}]`, path })),
    ),
    ...written.config_migrations.map(({ transform }, index) => ({
      where: `config_migrations[${index}]`,
      path: transform,
    })),
    ...written.dependencies.map(({ lock }, index) => ({ where: `dependencies[${index}]`, path: lock })),
  ]
  return [
    ...programs,
    ...files.flatMap(({ where, path }) =>
      path === null ? [] : [{ where, path: path.replace(/^\.\//, ''), kind: 'file' as const }],
    ),
  ]
}

function compatibilityErrors(written: ReleaseJson, version: Version): readonly Problem[] {
  return written.compatibility.downgrade_to
    .filter((older) => compareVersions(older, version) >= 0)
    .map((older) => ({ where: 'compatibility.downgrade_to', what: `${older} is not older than ${version}` }))
}

function serviceWarnings(written: ReleaseJson): readonly Problem[] {
  if (written.service === null) return []
  const required = written.service.health_checks.filter(({ severity }) => severity === 'required')
  if (required.length > 0) return []
  return [
    {
      where: 'service.health_checks',
      what: 'has no required check: a release that starts and does not work would be kept',
    },
  ]
}

function sizeWarnings(packed: readonly Packed[], lastBytes: ReadonlyMap<string, number>): readonly Problem[] {
  return packed.flatMap(({ artifact: { platform, length } }) => {
    const last = lastBytes.get(platform)
    if (last === undefined || length < 1_000_000 || length < 2 * last) return []
    return [{ where: platform, what: `is ${(length / last).toFixed(1)} times as large as the release before` }]
  })
}

/** The line under a version that says who will see it. */
export function audienceOf(version: Version): string {
  const channel = channelOf(version)
  return channel === 'release' ? 'all hosts' : channel === 'beta' ? 'hosts on beta and alpha' : 'hosts on alpha'
}
