// The command line of `netlink`: reads it, loads the one command that was asked for, prints what came of it. It touches the world only through the
// surroundings that it is handed: those of a process by main.ts, others by a test.

import { CommanderError, Option, Command as Program } from 'commander'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { Failure, type FailureFacts } from '../schema/cli/failure.ts'
import { unknownWord } from '../schema/cli/usage.ts'
import type { Command, CommandContext } from './commands/context.ts'
import { buildOutput, type Output, type Streams } from './commands/output.ts'
import { groups, type Leaf, leaves } from './commands/tree.ts'
import { buildMachine, readAgentVersion } from './machine.ts'

/** What a command line has around it. */
export interface Surroundings
  extends Streams,
    Pick<NodeJS.Process, 'platform' | 'arch' | 'cwd'>,
    Pick<CommandContext, 'signal' | 'stoppedBy' | 'become'> {
  readonly env: NodeJS.ProcessEnv
  /** 0 up to 1. */
  readonly random: () => number
  /** Runs another program on the same terminal; resolves with its exit status, null for a signal. Rejects where there is no such program. */
  readonly runBeside: (program: string, words: readonly string[]) => Promise<number | null>
}

/** One run: the words after the program's name, and what they are said in. */
interface Run {
  readonly words: readonly string[]
  readonly around: Surroundings
  readonly output: Output
}

/** Runs one command line to its end; resolves with the exit status and never rejects. A signal's own status is the caller's affair. */
export async function runProgram(words: readonly string[], around: Surroundings): Promise<ExitCode> {
  const output = buildOutput(around, { json: words.includes('--json'), noColor: words.includes('--no-color') })
  const run: Run = { words, around, output }
  return words[0] === 'fleet' ? runFleet(run) : runCommandLine(run)
}

async function runCommandLine(run: Run): Promise<ExitCode> {
  let exit: ExitCode = EXIT.ok
  const program = buildProgram(run.around, async (leaf, args, options) => {
    exit = await runLeaf(run, leaf, args, options)
  })
  try {
    await program.parseAsync([...run.words], { from: 'user' })
    return exit
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(run, error)
    return error.exitCode === 0 ? EXIT.ok : fail(run, new Failure(usageFacts(error, run.words)))
  }
}

type Action = (leaf: Leaf, args: readonly unknown[], options: object) => Promise<void>
type Prepare = (command: Program) => Program

function buildProgram({ stdout }: Surroundings, action: Action): Program {
  /** Everything that commander would print or end by itself comes back to us. */
  const prepare: Prepare = (command) =>
    command
      .exitOverride()
      .configureOutput({ writeErr: () => undefined, writeOut: (text) => stdout.write(text) })
      .addOption(new Option('--json', 'one JSON document; long operations print an event a line'))
      .addOption(new Option('--no-color', 'no colour'))
  const program = prepare(new Program('netlink'))
    .description('Updates this host in place from signed releases, proves it healthy, or goes back.')
    .version(`netlink ${readAgentVersion()}`, '-V, --version', 'the version of this program')
    .helpCommand(false)
    // `changelog --version 0b1` means its own option: ours count before the first command only.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Examples:
  netlink update check
  netlink update upgrade --latest
  netlink agent status

Settings: flag, then NETLINK_HOME, NETLINK_SERVER, NETLINK_TOKEN and
NETLINK_CONFIG, then config/update.yml.`,
    )
    .action(() => program.outputHelp())
  for (const group of groups) {
    const command = prepare(program.command(group.name)).description(group.summary).helpCommand(false)
    command.action(() => command.outputHelp())
    for (const leaf of group.children) addLeaf(command, leaf, prepare, action)
  }
  for (const leaf of leaves) addLeaf(program, leaf, prepare, action)
  return program
}

function addLeaf(parent: Program, leaf: Leaf, prepare: Prepare, action: Action): void {
  const command = prepare(parent.command(leaf.name)).description(leaf.summary)
  for (const [name, description] of leaf.args ?? []) command.argument(name, description)
  for (const [flags, description] of leaf.options ?? []) command.option(flags, description)
  if (leaf.examples.length > 0)
    command.addHelpText('after', `\nExamples:\n${leaf.examples.map((line) => `  ${line}\n`).join('')}`)
  // `backup create --full` and its like are known to be not there, whatever their options are.
  if (leaf.summary === 'not in this version') command.allowUnknownOption().allowExcessArguments()
  command.action((...all: unknown[]) => action(leaf, all.slice(0, leaf.args?.length ?? 0), command.opts()))
}

async function runLeaf(run: Run, leaf: Leaf, args: readonly unknown[], options: object): Promise<ExitCode> {
  const { words, around, output } = run
  try {
    const command = await leaf.load()
    const context: CommandContext = {
      machine: buildMachine(around, around.random, `netlink ${words.slice(0, 2).join(' ')}`),
      output,
      signal: around.signal,
      stoppedBy: around.stoppedBy,
      become: around.become,
    }
    const named = Object.fromEntries((leaf.args ?? []).map(([name], index) => [camelCase(name), args[index]]))
    // Commander has read the options that tree.ts declares; each command names the ones that it takes.
    return await (command.run as Command<object>)(context, { ...options, ...named })
  } catch (error) {
    return fail(run, error)
  }
}

/** `[update-id]` becomes `updateId`. */
function camelCase(name: string): string {
  return name.replace(/[[\]<>]/g, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

async function fail({ around, output }: Run, error: unknown): Promise<ExitCode> {
  const facts = error instanceof Failure ? error.facts : await explain(around, error)
  output.failure(facts)
  return facts.exit
}

async function explain(around: Surroundings, error: unknown): Promise<FailureFacts> {
  const { explainError } = await import('./explain.ts')
  const { readCurrentVersion } = await import('./current-version.ts')
  const { paths } = buildMachine(around, around.random, 'netlink')
  let installed: string | null | undefined
  try {
    installed = readCurrentVersion(paths)
  } catch {
    installed = undefined // one error is enough; this one is about something else
  }
  return explainError(error, { installed, paths })
}

function usageFacts(error: CommanderError, words: readonly string[]): FailureFacts {
  const { command, commands, options } = placeOf(words)
  const quoted = /'([^']+)'/.exec(error.message)?.[1] ?? ''
  if (error.code === 'commander.unknownCommand')
    return unknownWord({ kind: 'command', word: quoted, known: commands, command })
  if (error.code === 'commander.unknownOption')
    return unknownWord({ kind: 'option', word: quoted, known: options, command })
  // A group with a word that is none of its commands is an argument too many to commander, and a wrong word to people.
  const stray = words.slice(command.split(' ').length - 1).find((word) => !word.startsWith('-'))
  if (error.code === 'commander.excessArguments' && commands.length > 0 && stray !== undefined) {
    return unknownWord({ kind: 'command', word: stray, known: commands, command })
  }
  const detail = error.message.replace(/^error: /, '')
  return {
    code: 'E-USAGE',
    exit: EXIT.usage,
    title: 'this command can’t be meant',
    detail,
    state: 'Nothing was done.',
    next: [`${command} --help`],
  }
}

/** Which command these words lead to, and what could have stood there. */
function placeOf(words: readonly string[]): { command: string; commands: string[]; options: string[] } {
  const common = ['--json', '--no-color', '--help']
  const group = groups.find((one) => one.name === words[0])
  const leaf = group ? group.children.find((one) => one.name === words[1]) : leaves.find((one) => one.name === words[0])
  const command = ['netlink', group?.name, leaf?.name].filter((word) => word !== undefined).join(' ')
  const commands = leaf
    ? []
    : group
      ? group.children.map((one) => one.name)
      : [...groups, ...leaves].map((one) => one.name)
  const options = (leaf?.options ?? []).flatMap(([flags]) =>
    flags.split(/[ ,]+/).filter((word) => word.startsWith('-')),
  )
  return { command, commands, options: [...options, ...common] }
}

/** `netlink fleet …` is `netlink-admin fleet …`, where that is installed. */
async function runFleet(run: Run): Promise<ExitCode> {
  try {
    return ((await run.around.runBeside('netlink-admin', run.words)) ?? EXIT.unexpected) as ExitCode
  } catch (cause) {
    const facts = {
      code: 'E-NO-ADMIN',
      exit: EXIT.usage,
      title: 'netlink-admin is not installed here',
      detail: 'netlink fleet … runs netlink-admin fleet …, which is not on the PATH.',
      state: 'Nothing was done.',
      next: ['netlink-admin fleet status'],
    }
    return fail(run, new Failure(facts, { cause }))
  }
}
