// What all commands have in common on the command line: shared flags, where their output goes, how they end.
import { type Command, InvalidArgumentError, Option } from 'commander'
import { errorEnvelope, renderEvent, renderJson, resultEvent } from '../../schema/cli/envelope.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import type { FailureFacts } from '../../schema/cli/failure.ts'
import { renderFailure } from '../../schema/cli/failure-text.ts'
import { isVersion, type Version } from '../../schema/version.ts'
import { failureFactsOf } from '../failure-facts.ts'
import { buildOutput, type Output, type Streams } from '../output.ts'
import type { CommonOptions, Machine } from '../workshop.ts'

/** What every action is handed by commander. */
export interface SharedOptions extends CommonOptions {
  readonly json?: boolean
}

export interface CommandContext {
  readonly machine: Machine
  readonly streams: Streams
  /** Runs an action to its end, whatever that is, and keeps its exit status. `events`: a long operation, told step by step with --json. `untouched`: what is true where it fails before it has done anything. */
  perform(
    options: SharedOptions,
    kind: 'answer' | 'events',
    action: (output: Output) => Promise<void>,
    untouched?: string,
  ): Promise<void>
}

/** `exit` takes the status of the command that ran. */
export function buildContext(machine: Machine, streams: Streams, exit: (code: ExitCode) => void): CommandContext {
  return {
    machine,
    streams,
    perform: async (options, kind, action, untouched) => {
      const json = options.json ?? false
      const events = kind === 'events'
      const output = buildOutput({
        ...{ streams, clock: machine.clock, json, events },
        ...(untouched === undefined ? {} : { untouched }),
      })
      try {
        await action(output)
        exit(EXIT.ok)
      } catch (error) {
        exit(tellFailure(streams, error, { json, events, signal: machine.signal, output }))
      }
    },
  }
}

/** Says what went wrong, and with which status to end. */
export function tellFailure(
  streams: Streams,
  error: unknown,
  how: {
    readonly json: boolean
    readonly events: boolean
    readonly signal: AbortSignal
    /** Of the command that ran; none where none did. */
    readonly output?: Output
  },
): ExitCode {
  const { json, events, signal, output } = how
  const facts = signal.aborted
    ? interrupted(signal, output)
    : failureFactsOf(error, output?.untouched ?? 'Nothing was changed.')
  if (json) {
    const envelope = errorEnvelope(facts)
    streams.stdout(events ? renderEvent(resultEvent(envelope)) : renderJson(envelope))
  } else {
    streams.stderr(renderFailure(facts, { color: streams.color, width: streams.columns }))
  }
  return facts.exit
}

/** What the signal itself says is true of a command that had begun to sign or to send. */
function interrupted({ reason }: AbortSignal, output: Output | undefined): FailureFacts {
  const state = output?.untouched ?? 'Nothing was changed.'
  const facts = failureFactsOf(reason, state)
  return output?.hasLasting() === true ? facts : { ...facts, state, next: ['the same command again'] }
}

/** Adds the flags that every command has. */
export function withShared(command: Command): Command {
  return withFolder(command)
    .option('--server <url>', 'address of the server, instead of the configured one')
    .option('--token-file <file>', 'file with the publish token, instead of the configured one')
    .option('--insecure-http', 'allow plain http to another machine')
    .option('--ca <file>', 'certificates (PEM) that count besides those of this machine')
}

/** Adds the flags of commands that work in the folder and ask no server. */
export function withFolder(command: Command): Command {
  return command
    .option('--dir <folder>', "the publisher's folder (default: here, or ./pub)")
    .option('--json', 'answer for programs')
    .option('--no-color', 'no colour')
}

/** Adds the flags of commands that sign. */
export function withSigners(command: Command): Command {
  return command
    .addOption(new Option('--signer <name>', 'who signs; repeat for several').argParser(collect))
    .addOption(
      new Option(
        '--passphrase-file <file>',
        'FILE, or NAME=FILE where there are several holders; repeat for several',
      ).argParser(collect),
    )
    .addOption(
      new Option(
        '--key <file>',
        'FILE or NAME=FILE: a keyring that lies elsewhere, on a stick say; repeat for several',
      ).argParser(collect),
    )
}

/** Adds the flags of commands that sign what somebody else may have made. */
export function withConsent(command: Command): Command {
  return command
    .option('--yes', 'sign without being asked; not for changes of the root')
    .option('--all-files', 'name every file that changes')
}

/** Gathers a repeatable option. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

/** An argument that is a version. */
export function versionArgument(value: string): Version {
  if (isVersion(value)) return value
  throw new InvalidArgumentError('Expected a version such as 0a1, 1b12 or 0r3+hotfix.1.')
}
