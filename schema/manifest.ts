// A manifest is what was signed about one release: every byte that is ever executed or shown on a host is covered by it.
//
// It is the TUF target `<channel>/<version>/manifest.json`. Its artifacts lie at `/repo/artifacts/<sha256>` and are covered by the hashes
// written here. Promotion signs a new manifest over the same artifacts and changes only the letter of the version.
// Objects are loose: a field that this program does not know was signed as well and is kept.
import { z } from 'zod'
import { changelogShape } from './changelog.ts'
import { channelShape, versionShape } from './version.ts'
import { rangeShape } from './version-range.ts'

/** SHA-256, 64 lower-case hexadecimal digits. */
export const sha256Shape = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits')
/** SHA-512, 128 lower-case hexadecimal digits. */
export const sha512Shape = z.string().regex(/^[0-9a-f]{128}$/, 'expected 128 lower-case hexadecimal digits')
/** `any`, or operating system and architecture as Node names them: `linux-x64`, `linux-arm64`. */
export const platformShape = z
  .string()
  .regex(/^(any|[a-z0-9]+-[a-z0-9_]+)$/, 'expected "any" or <os>-<arch>, as in linux-x64')
/** A product's name: lower-case letters, digits, dash and dot, 1 to 64. */
export const productShape = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'expected 1 to 64 of a-z, 0-9, "-" and "."')
/** UTC time of one second's resolution: `2026-11-23T10:00:00Z`. */
export const timeShape = z
  .string()
  .regex(/^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'expected a UTC time such as 2026-11-23T10:00:00Z')
  .refine(isOfTheCalendar, 'expected a UTC time that exists, such as 2026-11-23T10:00:00Z')

/** No 30 February and no hour 24: one moment has one spelling, and databases refuse the others. */
function isOfTheCalendar(text: string): boolean {
  const date = new Date(text)
  return !Number.isNaN(date.getTime()) && date.toISOString() === text.replace('Z', '.000Z')
}

const text = z.string().min(1).max(4096)
const milliseconds = z.int().min(0).max(86_400_000)
const argvShape = z.array(z.string().max(4096)).min(1).max(64)

const probe = {
  name: z.string().min(1).max(64),
  /** `required` decides over the update, `wanted` is only reported. */
  severity: z.enum(['required', 'wanted']).default('required'),
  interval_ms: milliseconds.min(10).default(1_000),
  timeout_ms: milliseconds.min(10).default(5_000),
  /** Consecutive passes that make the check healthy, consecutive failures that make it unhealthy again. */
  success_threshold: z.int().min(1).max(100).default(1),
  failure_threshold: z.int().min(1).max(100).default(3),
}

/** How a service shows that it is well. `${NAME}` resolves as in a service's argv. */
export const healthCheckShape = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('http'),
    ...probe,
    url: text,
    expect_status: z.int().min(100).max(599).default(200),
    expect_body: text.optional(),
  }),
  z.looseObject({
    type: z.literal('tcp'),
    ...probe,
    host: text.default('127.0.0.1'),
    port: z.union([z.int().min(1).max(65_535), text]),
  }),
  z.looseObject({ type: z.literal('exec'), ...probe, argv: argvShape }),
  z.looseObject({ type: z.literal('unit'), ...probe, unit: text }),
])

export type HealthCheck = z.infer<typeof healthCheckShape>

/** The process that a release runs as. */
export const serviceShape = z.looseObject({
  /**
   * First element: a path inside the release (`./bin/app`) or a program name looked up in PATH. `${NAME}` and `${NAME:-default}` in any
   * element, in `env` and in health checks resolve from the site's `config/app.env`.
   */
  argv: argvShape,
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(32_768)).default({}),
  working_dir: z.enum(['app', 'data']).default('app'),
  stop_signal: z.enum(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP']).default('SIGTERM'),
  stop_timeout_ms: milliseconds.default(10_000),
  /** Longest time from start to the first healthy answer of every required check. */
  ready_ms: milliseconds.default(120_000),
  /** How long it must then stay healthy before the update is committed. */
  stability_ms: milliseconds.default(60_000),
  health_checks: z.array(healthCheckShape).max(32).default([]),
})

export type Service = z.infer<typeof serviceShape>

/** What a host must have. Absent means: does not matter. */
export const requirementsShape = z.looseObject({
  os: z.array(text).optional(),
  arch: z.array(text).optional(),
  disk_bytes: z.int().min(0).optional(),
  memory_bytes: z.int().min(0).optional(),
  /** Least version of the agent, as in its package.json. */
  agent_version: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/)
    .optional(),
})

const reasonShape = z.looseObject({ reason: text })

/** From where one may come and to where one may go back. */
export const compatibilityShape = z.looseObject({
  upgrade_from: rangeShape.default('*'),
  downgrade_to: z.array(versionShape).max(256).default([]),
  /** This version must be installed on the way to any later one. */
  barrier: reasonShape.nullable().default(null),
  /** No later version can be reached from this one. */
  dead_end: reasonShape.nullable().default(null),
})

/** Files inside the release, relative to its root. */
const insidePath = z.string().min(1).max(4096)

export const databaseMigrationShape = z.looseObject({
  id: text,
  up: insidePath,
  verify: insidePath.nullable().default(null),
  down: insidePath.nullable().default(null),
})
export const configMigrationShape = z.looseObject({ id: text, file: insidePath, transform: insidePath })
export const dependencyShape = z.looseObject({ manager: text, lock: insidePath, sha256: sha256Shape })
export const hookShape = z.looseObject({ point: text, argv: argvShape, timeout_ms: milliseconds.default(600_000) })
export const selfTestShape = z.looseObject({ name: text, argv: argvShape, timeout_ms: milliseconds.default(30_000) })

/** The archive for one platform. Lengths in bytes. */
export const artifactShape = z.looseObject({
  platform: platformShape,
  length: z.int().min(1),
  sha256: sha256Shape,
  sha512: sha512Shape,
  format: z.literal('tar+zstd'),
  unpacked_bytes: z.int().min(0),
  entries: z.int().min(0),
  /** Digest over the unpacked tree (schema/archive/tree-digest.ts), to check it again after unpacking. */
  tree_sha256: sha256Shape,
})

export type Artifact = z.infer<typeof artifactShape>

/** One signed release. */
export const manifestShape = z.looseObject({
  schema: z.literal('netlink.manifest/v1'),
  product: productShape,
  version: versionShape,
  channel: channelShape,
  released_at: timeShape,
  promoted_from: versionShape.nullable().default(null),
  artifacts: z.array(artifactShape).min(1).max(64),
  requirements: requirementsShape,
  compatibility: compatibilityShape,
  database_version: text.nullable().default(null),
  config_version: text.nullable().default(null),
  database_migrations: z.array(databaseMigrationShape).max(1024).default([]),
  config_migrations: z.array(configMigrationShape).max(1024).default([]),
  dependencies: z.array(dependencyShape).max(64).default([]),
  service: serviceShape.nullable().default(null),
  /** systemd units that are restarted besides the service itself. */
  restart_units: z.array(text).max(64).default([]),
  self_tests: z.array(selfTestShape).max(64).default([]),
  hooks: z.array(hookShape).max(64).default([]),
  changelog: changelogShape,
})

export type Manifest = z.infer<typeof manifestShape>
