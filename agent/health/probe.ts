import { unreachable } from '../../schema/unreachable.ts'
import type { ResolvedCheck } from '../service/definition.ts'
import type { ProbeResult } from './check.ts'

/** One program that is run to its end: a self-test or an exec check. Nothing of the caller's environment reaches it. */
export interface ProgramRun {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly timeoutMs: number
}

/** `tail`: its last lines, of both outputs. */
export type ProgramEnd =
  | { readonly kind: 'exited'; readonly code: number; readonly tail: readonly string[] }
  | { readonly kind: 'killed'; readonly by: string; readonly tail: readonly string[] }
  | { readonly kind: 'timed-out'; readonly tail: readonly string[] }
  | { readonly kind: 'not-started'; readonly message: string }

/** How checks reach what they check. Each rejects with an Error whose message is words for people; `run` never rejects but for the signal. */
export interface Probes {
  /** Status and the first 64 KiB of the body; redirects are answers, not followed. */
  http(
    url: string,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: string }>
  /** Resolves when a connection was made; it is closed at once. */
  tcp(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<void>
  run(program: ProgramRun, signal?: AbortSignal): Promise<ProgramEnd>
  /** What systemd says about a unit. */
  unit(name: string, timeoutMs: number, signal?: AbortSignal): Promise<UnitFacts>
}

export interface UnitFacts {
  readonly active: boolean
  readonly restarts: number
  /** `ActiveState/SubState (Result)` */
  readonly words: string
}

/** What a probe needs besides its check: where exec checks run, and how often a unit had been restarted when the watch began. */
export interface ProbeContext {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly unitRestarts: Map<string, number>
}

/** Asks once. Never rejects: whatever goes wrong is a failed probe. */
export async function probe(
  probes: Probes,
  check: ResolvedCheck,
  context: ProbeContext,
  signal?: AbortSignal,
): Promise<ProbeResult> {
  try {
    const words = await ask(probes, check, context, signal)
    return words === null ? { kind: 'passed' } : { kind: 'failed', words }
  } catch (error) {
    return { kind: 'failed', words: error instanceof Error ? error.message : String(error) }
  }
}

/** Null for a pass, else what was expected and what came. */
async function ask(
  probes: Probes,
  check: ResolvedCheck,
  context: ProbeContext,
  signal?: AbortSignal,
): Promise<string | null> {
  switch (check.type) {
    case 'http': {
      const { status, body } = await probes.http(check.url, check.timeout_ms, signal)
      if (status !== check.status) return `${check.url} answered ${status}, expected ${check.status}`
      return check.body === null || body.includes(check.body)
        ? null
        : `${check.url} answered without ${JSON.stringify(check.body)}`
    }
    case 'tcp':
      await probes.tcp(check.host, check.port, check.timeout_ms, signal)
      return null
    case 'exec': {
      const end = await probes.run(
        { argv: check.argv, env: context.env, cwd: context.cwd, timeoutMs: check.timeout_ms },
        signal,
      )
      return end.kind === 'exited' && end.code === 0 ? null : `${check.argv[0]} ${endWords(end)}`
    }
    case 'unit': {
      const { active, restarts, words } = await probes.unit(check.unit, check.timeout_ms, signal)
      const before = context.unitRestarts.get(check.unit)
      if (before === undefined) context.unitRestarts.set(check.unit, restarts)
      if (!active) return `${check.unit} is ${words}`
      return before !== undefined && restarts > before ? `${check.unit} was restarted ${restarts - before} times` : null
    }
    default:
      return unreachable(check)
  }
}

/** `ended with 1: last line` */
export function endWords(end: ProgramEnd): string {
  switch (end.kind) {
    case 'exited':
      return `ended with ${end.code}${lastLine(end.tail)}`
    case 'killed':
      return `was killed by ${end.by}${lastLine(end.tail)}`
    case 'timed-out':
      return `did not end in time${lastLine(end.tail)}`
    case 'not-started':
      return `could not be started: ${end.message}`
    default:
      return unreachable(end)
  }
}

function lastLine(tail: readonly string[]): string {
  const line = tail.at(-1)
  return line ? `: ${line}` : ''
}
