import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import type { Artifact } from '../../schema/manifest.ts'
import type { Probes } from '../health/probe.ts'
import type { Paths } from '../paths.ts'
import type { ServiceControl } from '../service/control.ts'
import type { EngineEvent } from './event.ts'

/** What this machine is, for requirements. */
export interface HostFacts {
  /** As Node names them: `linux`, `x64`. */
  readonly os: string
  readonly arch: string
  readonly memoryBytes: number
  /** As in this package's package.json. */
  readonly agentVersion: string
  /** `/proc/sys/kernel/random/boot_id`: tells a restarted agent from a rebooted machine. */
  readonly bootId: string
  /** The agent's own environment; a service gets no more of it than `INHERITED` in service/definition.ts names. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Where artifacts come from. Bytes are checked, wherever they came from. */
export interface ArtifactSource {
  /**
   * Makes `file` hold the whole artifact, going on where an earlier download stopped, and resolves when length, SHA-256 and SHA-512 are those of `artifact`.
   * A file that ends up wrong is removed. Rejects with PlatformError (network, disk), TrustError (`hash`) or the signal's reason.
   */
  fetch(
    artifact: Artifact,
    file: string,
    options: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void },
  ): Promise<void>
}

/** A lock that is held. */
export interface HeldLock {
  release(): void | Promise<void>
}

/** Everything outside the engine. */
export interface EngineDeps {
  readonly paths: Paths
  readonly disk: Disk
  readonly clock: Clock
  readonly host: HostFacts
  readonly artifacts: ArtifactSource
  readonly service: ServiceControl
  readonly probes: Probes
  /** Takes the update lock, or rejects with PlatformError `locked` where its holder takes long. */
  takeLock(path: string): Promise<HeldLock>
}

export interface RunOptions {
  /** Before the service is stopped: throws away. After it: goes back. During commit: finishes. */
  readonly signal?: AbortSignal | undefined
  /** Longest time for the whole update from now on; past it the same happens as with the signal. */
  readonly deadlineMs?: number | undefined
  readonly onEvent?: ((event: EngineEvent) => void) | undefined
  /** The update lock, if the caller holds it already. It stays the caller's. */
  readonly lock?: HeldLock | undefined
  /** Goes on although a required check of the running version fails before the update. A rollback always does. */
  readonly acceptUnhealthy?: boolean | undefined
  /**
   * The last thing before the service is stopped, when everything is staged and verified; what it rejects with ends the update. Never in a recovery: none stops
   * and turns what was not turned before.
   */
  readonly beforeStop?: (() => Promise<void>) | undefined
  /** Generations to keep at least. */
  readonly keep?: number | undefined
}

export const DEFAULT_KEEP = 3
