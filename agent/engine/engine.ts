// The engine: one update from plan to end, and the same from wherever a crash left it.
//
//   const outcome = await runUpdate(deps, plan, verified, { signal, onEvent })
//   const recovery = await recover(deps, { onEvent })        // first thing after every start, before the service
//
// It takes the update lock itself; whoever had to take it earlier (to build the plan under it) hands it over in the options.
import type { Verified } from '../../keys/verified.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import type { Artifact, Manifest } from '../../schema/manifest.ts'
import type { Paths } from '../paths.ts'
import type { ServiceControl } from '../service/control.ts'
import type { EngineEvent } from './event.ts'
import type { Outcome } from './outcome.ts'
import type { Plan } from './plan.ts'

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
}

/** Where artifacts come from. Bytes are checked here, wherever they came from. */
export interface ArtifactSource {
  /**
   * Appends to `file` until it holds the whole artifact, going on where an earlier download stopped, and resolves when length, SHA-256 and
   * SHA-512 are those of `artifact`. A file that ends up wrong is removed. Rejects with PlatformError (network, disk) or TrustError (`hash`).
   */
  fetch(artifact: Artifact, file: string, options: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void }): Promise<void>
}

/** One program run to its end: self-tests, exec checks. */
export interface ProgramRun {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly timeoutMs: number
}
export type ProgramEnd =
  | { readonly kind: 'exited'; readonly code: number; readonly tail: readonly string[] }
  | { readonly kind: 'killed'; readonly by: string; readonly tail: readonly string[] }
  | { readonly kind: 'timed-out'; readonly tail: readonly string[] }
  | { readonly kind: 'not-started'; readonly message: string }

/** How checks reach what they check. */
export interface Probes {
  http(url: string, timeoutMs: number): Promise<{ readonly status: number; readonly body: string }>
  tcp(host: string, port: number, timeoutMs: number): Promise<void>
  run(program: ProgramRun, signal?: AbortSignal): Promise<ProgramEnd>
  unit(name: string, timeoutMs: number): Promise<{ readonly active: boolean; readonly restarts: number; readonly words: string }>
}

/** A lock that is held. */
export interface HeldLock {
  release(): Promise<void>
}

export interface EngineDeps {
  readonly paths: Paths
  readonly disk: Disk
  readonly clock: Clock
  readonly host: HostFacts
  readonly artifacts: ArtifactSource
  readonly service: ServiceControl
  readonly probes: Probes
  /** Takes the lock at once or rejects with PlatformError `locked`. */
  takeLock(path: string): Promise<HeldLock>
}

export interface RunOptions {
  /** Before the switch: throws away. After it: goes back. During commit: finishes. */
  readonly signal?: AbortSignal
  /** Longest time for the whole update from now on. */
  readonly deadlineMs?: number
  readonly onEvent?: (event: EngineEvent) => void
  /** The update lock, if the caller holds it already. It stays the caller's. */
  readonly lock?: HeldLock
  /** Goes on although a required check of the running version fails before the update. */
  readonly acceptUnhealthy?: boolean
  /** Generations to keep. */
  readonly keep?: number
}

/**
 * Carries out the plan. Never rejects for what an update can run into: every end is an Outcome, and the plan's journal is closed with it.
 * Rejects only with a programming error. `verified` is null only for a rollback, whose release was verified when it was installed.
 */
export type RunUpdate = (deps: EngineDeps, plan: Plan, verified: Verified<Manifest> | null, options?: RunOptions) => Promise<Outcome>

export type Recovery =
  /** Nothing was left open. */
  | { readonly kind: 'clean' }
  /** An update that a crash had cut was brought to its end. */
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /** Another process is at it right now. */
  | { readonly kind: 'locked' }
  /** A journal is damaged or its budget is spent: nothing is started or flipped until a person has looked. */
  | { readonly kind: 'needs_operator'; readonly update_id: string; readonly message: string }

/** Brings whatever a crash cut to its end. Must run, and must have ended with `clean` or `finished`, before anything starts the service. */
export type Recover = (deps: EngineDeps, options?: Pick<RunOptions, 'signal' | 'onEvent' | 'lock' | 'keep'>) => Promise<Recovery>
