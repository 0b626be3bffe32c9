// `release.json`: what a release engineer writes beside the files of a release. Strict: a misspelt key is an error that names the right one.
import { z } from 'zod'
import { writtenChangelogShape } from './changelog.ts'
import {
  compatibilityShape,
  configMigrationShape,
  databaseMigrationShape,
  healthCheckShape,
  hookShape,
  platformShape,
  productShape,
  requirementsShape,
  selfTestShape,
  serviceShape,
} from './manifest.ts'

/** Turns a loose manifest part into what may stand in `release.json`: the same fields and no others. */
function strict<T extends z.ZodRawShape>(shape: z.ZodObject<T>) {
  return z.strictObject(shape.shape)
}

const strictService = z.strictObject({
  ...serviceShape.shape,
  health_checks: z
    .array(
      z.discriminatedUnion('type', [
        strict(healthCheckShape.options[0]),
        strict(healthCheckShape.options[1]),
        strict(healthCheckShape.options[2]),
        strict(healthCheckShape.options[3]),
      ]),
    )
    .max(32)
    .default([]),
})

/** The engineer's description of a release. `changelog` may be left out where `--changelog FILE` brings it. */
export const releaseJsonShape = z.strictObject({
  $schema: z.string().optional(),
  schema: z.literal('netlink.release/v1').default('netlink.release/v1'),
  /** Must agree with the repository's product where it is given. */
  product: productShape.optional(),
  platform: platformShape.default('any'),
  requirements: strict(requirementsShape).default({}),
  compatibility: strict(compatibilityShape).prefault({}),
  database_version: z.string().min(1).nullable().default(null),
  config_version: z.string().min(1).nullable().default(null),
  database_migrations: z.array(strict(databaseMigrationShape)).default([]),
  config_migrations: z.array(strict(configMigrationShape)).default([]),
  /** Lock files inside the release, per package manager; their hashes are computed when packing. */
  dependencies: z.array(z.strictObject({ manager: z.string().min(1), lock: z.string().min(1) })).default([]),
  service: strictService.nullable().default(null),
  restart_units: z.array(z.string().min(1)).default([]),
  self_tests: z.array(strict(selfTestShape)).default([]),
  hooks: z.array(strict(hookShape)).default([]),
  changelog: writtenChangelogShape.optional(),
  /** Paths (TUF patterns) that stay out of the archive. `release.json` itself always does. */
  exclude: z.array(z.string().min(1)).default([]),
  /** Files that look like secrets to the packer and are not. */
  allow_secrets: z.array(z.string().min(1)).default([]),
})

export type ReleaseJson = z.infer<typeof releaseJsonShape>
