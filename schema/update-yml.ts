// `config/update.yml`: how this host updates. What the user's specification shows loads as it is. Strict: a misspelt key names the right one.
// Every key has a default; they stand in `updateYmlDefaults` and nowhere else. Reading the YAML text is the agent's work, this is about the object in it.
import { z } from 'zod'
import { durationShape, parseDuration } from './duration.ts'
import { ShapeError } from './shape-error.ts'
import { parseStrict } from './strict-shape.ts'
import { decideWindow, parseTimeWindow, type TimeWindow, timeWindowShape } from './time-window.ts'

/** What holds where `update.yml` says nothing. The first four groups are the specification's own values. */
export const updateYmlDefaults = {
  backup: {
    enabled: true,
    /** Below the host's root unless absolute. */
    directory: 'backups/updates',
    encryption: true,
    retention_days: 30,
  },
  behavior: {
    auto_backup: true,
    auto_restart: true,
    maintenance_mode: true,
    cluster_coordination: true,
  },
  safety: {
    /** Of interactive commands; automatic updates follow `automatic.mode`. */
    require_confirmation: true,
    validate_migrations: true,
    test_after_update: true,
    rollback_on_failure: true,
  },
  clustering: {
    enabled: true,
    /** Seconds, or a duration such as "5m". */
    coordination_timeout: 300,
    rolling_updates: true,
    max_concurrent_nodes: 1,
  },
  automatic: {
    /** `off`: nobody looks; `notify`: say that there is something; `auto`: install it. */
    mode: 'notify',
    /** When an automatic update may start (time-window.ts). */
    window: 'always',
    /** No automatic update starts with less than this left of the window. */
    min_remaining: '10m',
    /** Each host waits for a random part of this before it starts, so that not all do at once. */
    jitter: '15m',
    /** No release is installed by itself before it was published for so long. */
    minimum_soak: '0s',
  },
  refresh: {
    /** How often the host looks for releases by itself; the server's hints come besides. */
    interval: '15m',
  },
} as const

const defaults = updateYmlDefaults
const timeout = z.union([z.int().min(1).max(86_400), durationShape])
const interval = durationShape.refine((text) => isBetween(text, 1_000, 7 * 86_400_000), 'expected from 1s to 7d')
const soak = durationShape.refine((text) => isBetween(text, 0, 365 * 86_400_000), 'expected at most 365d')
const waiting = durationShape.refine((text) => isBetween(text, 0, 7 * 86_400_000), 'expected at most 7d')

function isBetween(text: string, leastMs: number, mostMs: number): boolean {
  // A text that is no duration was refused already.
  const ms = durationShape.safeParse(text).success ? parseDuration(text) : leastMs
  return ms >= leastMs && ms <= mostMs
}

const updateSystemShape = z.strictObject({
  backup: z
    .strictObject({
      enabled: z.boolean().default(defaults.backup.enabled),
      directory: z.string().min(1).max(4096).default(defaults.backup.directory),
      encryption: z.boolean().default(defaults.backup.encryption),
      retention_days: z.int().min(1).max(36_500).default(defaults.backup.retention_days),
    })
    .prefault({}),
  behavior: z
    .strictObject({
      auto_backup: z.boolean().default(defaults.behavior.auto_backup),
      auto_restart: z.boolean().default(defaults.behavior.auto_restart),
      maintenance_mode: z.boolean().default(defaults.behavior.maintenance_mode),
      cluster_coordination: z.boolean().default(defaults.behavior.cluster_coordination),
    })
    .prefault({}),
  safety: z
    .strictObject({
      require_confirmation: z.boolean().default(defaults.safety.require_confirmation),
      validate_migrations: z.boolean().default(defaults.safety.validate_migrations),
      test_after_update: z.boolean().default(defaults.safety.test_after_update),
      rollback_on_failure: z.boolean().default(defaults.safety.rollback_on_failure),
    })
    .prefault({}),
  clustering: z
    .strictObject({
      enabled: z.boolean().default(defaults.clustering.enabled),
      coordination_timeout: timeout.default(defaults.clustering.coordination_timeout),
      rolling_updates: z.boolean().default(defaults.clustering.rolling_updates),
      max_concurrent_nodes: z.int().min(1).max(10_000).default(defaults.clustering.max_concurrent_nodes),
    })
    .prefault({}),
  automatic: z
    .strictObject({
      mode: z.enum(['off', 'notify', 'auto']).default(defaults.automatic.mode),
      window: timeWindowShape.default(defaults.automatic.window),
      min_remaining: waiting.default(defaults.automatic.min_remaining),
      jitter: waiting.default(defaults.automatic.jitter),
      minimum_soak: soak.default(defaults.automatic.minimum_soak),
    })
    .prefault({}),
  refresh: z.strictObject({ interval: interval.default(defaults.refresh.interval) }).prefault({}),
})

const updateYmlShape = z.strictObject({ update_system: updateSystemShape.prefault({}) })
type Written = z.infer<typeof updateSystemShape>

/** `update.yml` as the program uses it: the file's names, durations in milliseconds. */
export interface UpdateConfig extends Pick<Written, 'backup' | 'behavior' | 'safety'> {
  readonly clustering: Omit<Written['clustering'], 'coordination_timeout'> & {
    readonly coordination_timeout_ms: number
  }
  readonly automatic: {
    readonly mode: 'off' | 'notify' | 'auto'
    readonly window: TimeWindow
    readonly min_remaining_ms: number
    readonly jitter_ms: number
    readonly minimum_soak_ms: number
  }
  readonly refresh: { readonly interval_ms: number }
}

/** The configuration in an object that was read from YAML. An empty file (null) is all defaults. Throws ShapeError; `subject` names the file. */
export function parseUpdateYml(object: unknown, subject: string): UpdateConfig {
  // `update_system:` with nothing below it is null in YAML, and so is a group whose keys are all commented out.
  const { update_system: written } = parseStrict(updateYmlShape, withoutEmptyGroups(object), subject)
  const { coordination_timeout, ...clustering } = written.clustering
  const config: UpdateConfig = {
    backup: written.backup,
    behavior: written.behavior,
    safety: written.safety,
    clustering: {
      ...clustering,
      coordination_timeout_ms:
        typeof coordination_timeout === 'number' ? coordination_timeout * 1_000 : parseDuration(coordination_timeout),
    },
    automatic: {
      mode: written.automatic.mode,
      window: parseTimeWindow(written.automatic.window),
      min_remaining_ms: parseDuration(written.automatic.min_remaining),
      jitter_ms: parseDuration(written.automatic.jitter),
      minimum_soak_ms: parseDuration(written.automatic.minimum_soak),
    },
    refresh: { interval_ms: parseDuration(written.refresh.interval) },
  }
  refuseWindowTooShort(config, subject)
  return config
}

function withoutEmptyGroups(object: unknown): unknown {
  const file = dropNulls(object ?? {})
  const system = isRecord(file) ? file.update_system : undefined
  return isRecord(file) && isRecord(system) ? { ...file, update_system: dropNulls(system) } : file
}

function dropNulls(value: unknown): unknown {
  return isRecord(value) ? Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null)) : value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A window that is never open for as long as an update has to have left would silently mean `off`. */
function refuseWindowTooShort({ automatic }: UpdateConfig, subject: string): void {
  try {
    decideWindow(automatic.window, new Date(0), automatic.min_remaining_ms)
  } catch (cause) {
    const message = 'every span is shorter than min_remaining: no automatic update could ever start'
    throw new ShapeError(subject, [{ pointer: '/update_system/automatic/window', message }], { cause })
  }
}
