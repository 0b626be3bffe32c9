// What all commands have in common: where output goes, how they end, what they need of the machine.
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { errorEnvelope, okEnvelope, renderJson } from '../../schema/cli/envelope.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { renderFailure } from '../../schema/cli/failure-text.ts'
import type { Mutation } from '../core/core.ts'
import type { Db, Log, RandomBytes } from '../core/ports.ts'
import type { EmbeddedDbOptions } from '../store/embedded-db.ts'
import { failureFactsOf } from './failure-facts.ts'

/** The process, as commands may see it. */
export interface Machine {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: RandomBytes
  readonly openEmbeddedDb: (options: EmbeddedDbOptions) => Promise<Db>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly user: { readonly name: string; readonly uid: number }
  readonly pid: number
  /** The program's version. */
  readonly version: string
  /** Where short socket paths can be made. */
  readonly runtimeRoot: string
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly color: boolean
  /** Columns of the terminal behind stderr; null if there is none. */
  readonly columns: number | null
  /** Calls back for each SIGTERM and SIGINT. */
  readonly onSignal: (listener: (signal: 'SIGTERM' | 'SIGINT') => void) => void
  /** Ends the process at once. */
  readonly exit: (code: number) => never
}

export interface SharedOptions {
  readonly dir: string
  readonly json?: boolean
  readonly reason?: string
}

export interface Answer {
  /** `netlink.server.init/v1` */
  readonly schema: string
  /** For programs, in snake_case. */
  readonly fields: object
  /** For people. */
  readonly text: string
  readonly exit?: ExitCode
}

/** Runs a command and says how it ended; resolves with the exit status. */
export async function perform(
  machine: Machine,
  options: { readonly json?: boolean; readonly dir?: string },
  command: () => Promise<Answer>,
): Promise<ExitCode> {
  try {
    const { schema, fields, text, exit = EXIT.ok } = await command()
    machine.stdout(options.json ? renderJson(okEnvelope(schema, fields)) : text)
    return exit
  } catch (error) {
    return tellFailure(machine, error, options)
  }
}

export function tellFailure(
  machine: Machine,
  error: unknown,
  options: { readonly json?: boolean; readonly dir?: string },
): ExitCode {
  const facts = failureFactsOf(error, namedDir(machine, options.dir))
  if (options.json) machine.stdout(renderJson(errorEnvelope(facts)))
  else machine.stderr(renderFailure(facts, { color: machine.color, width: machine.columns }))
  return facts.exit
}

/** The server's folder where commands to copy have to name it; null where they work without. */
export function namedDir(machine: Machine, dir: string | undefined): string | null {
  return dir === undefined || dir === defaultDir(machine) ? null : dir
}

/** Which folder commands work on unless --dir says otherwise. */
export function defaultDir({ environment }: Machine): string {
  return environment.NETLINK_SERVER_DIR ?? '.'
}

/** Who is at this command line. */
export function localMutation(machine: Machine, reason: string | undefined): Mutation {
  return { actor: { kind: 'local', user: machine.user.name }, reason: reason ?? null }
}

/** One JSON object a line on stderr. */
export function buildLog(machine: Machine, least: 'debug' | 'info' | 'warn' = 'info'): Log {
  const levels = ['debug', 'info', 'warn', 'error']
  return (level, event, fields) => {
    if (levels.indexOf(level) < levels.indexOf(least)) return
    machine.stderr(`${JSON.stringify({ time: machine.clock.now().toISOString(), level, event, ...fields })}\n`)
  }
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `90d`, `12h`, `30m`. Throws Failure E-USAGE. */
export function parseDuration(text: string, flag: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (amount !== undefined && isUnit(unit) && Number(amount) > 0) return Number(amount) * UNIT_MS[unit]
  throw usage(`${flag} ${JSON.stringify(text)} is no duration`, 'expected a number and a unit: 90d, 12h, 30m, 45s')
}

function isUnit(text: string | undefined): text is keyof typeof UNIT_MS {
  return text !== undefined && Object.hasOwn(UNIT_MS, text)
}

/** A word that is wrong on the command line. */
export function usage(title: string, detail: string, next: readonly string[] = ['netlink-server --help']): Failure {
  return new Failure({ code: 'E-USAGE', exit: EXIT.usage, title, detail, state: 'Nothing was done.', next })
}
