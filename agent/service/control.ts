// Who runs the service: one port, three adapters (exec through the host's supervisor, systemd, none).

/** A service ready to be started: nothing is left to resolve. */
export interface ServiceDefinition {
  readonly generation: number
  readonly version: string
  /** First element absolute, or a name without slash that is looked up in this definition's own PATH. */
  readonly argv: readonly string[]
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly stopSignal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP'
  readonly stopTimeoutMs: number
}

/** Which process this is, in a way that no later process can be mistaken for it. */
export interface ServiceIdentity {
  readonly pid: number
  /** Clock ticks after boot (`/proc/<pid>/stat`, field 22). */
  readonly startTime: string
  readonly bootId: string
}

export type ServiceStatus =
  /** `onPurpose`: somebody stopped it, and nobody started it since. */
  | { readonly state: 'stopped'; readonly onPurpose: boolean }
  | {
      readonly state: 'running'
      readonly generation: number
      readonly version: string
      readonly identity: ServiceIdentity
      readonly restarts: number
      readonly sinceMs: number
    }
  /** It ended by itself and waits to be started again. */
  | {
      readonly state: 'crashed'
      readonly generation: number
      readonly version: string
      readonly ended: string
      readonly restarts: number
      readonly tail: readonly string[]
    }
  /** It should not be asked about here (service control `none`). */
  | { readonly state: 'unmanaged' }

/**
 * Starts and stops the one service of this host. Every method is idempotent and may be repeated after a crash of the caller.
 * Rejects with ServiceError. The caller's death never stops the service.
 */
export interface ServiceControl {
  readonly kind: 'exec' | 'systemd' | 'none'
  /**
   * Resolves when the process was started, not when it is ready. Another generation that still runs is stopped first; the same one is left alone.
   * While an update is undecided only that update may start anything: it says so with its id, everybody else is refused (`undecided`).
   */
  start(definition: ServiceDefinition, updateId?: string): Promise<void>
  /** Resolves when nothing of it runs any more. Nothing running is fine. */
  stop(): Promise<void>
  /** Stops and starts, also if the same generation runs. */
  restart(definition: ServiceDefinition, updateId?: string): Promise<void>
  /** Restarts other units of the machine; rejects (`systemd`) where there are none. */
  restartUnits(units: readonly string[]): Promise<void>
  status(): Promise<ServiceStatus>
  /** Null when nothing runs or nothing is managed. */
  identity(): Promise<ServiceIdentity | null>
}

export type ServiceErrorCode =
  | 'not-startable' // program missing, not executable, folder missing
  | 'bad-environment' // a ${NAME} without a value, or a broken app.env
  | 'not-stoppable' // still there after SIGKILL
  | 'no-supervisor' // it could not be reached or started
  | 'undecided' // an update has to be recovered first
  | 'systemd' // what systemctl said

/** The service could not be started, stopped or asked. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ServiceErrorCode

  constructor(code: ServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
