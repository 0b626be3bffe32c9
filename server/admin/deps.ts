/** Everything outside that the program touches. `main.ts` gives it the process, tests give it what they like. */
export interface AdminDeps {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** Columns of the terminal behind stdout; null if there is none. */
  readonly columns: number | null
  readonly readFile: (path: string) => Promise<string>
  /** Permission bits of a file. */
  readonly fileMode: (path: string) => Promise<number>
  readonly now: () => Date
  /** Resolves after `ms`, or at once when the signal comes. */
  readonly sleep: (ms: number) => Promise<void>
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** From now on also believes certificates that these authorities (PEM) signed. */
  readonly trustCa: (pem: string) => void
  readonly fetch: typeof globalThis.fetch
}
