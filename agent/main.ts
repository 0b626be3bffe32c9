// `netlink`: reads the command line, loads the one command that was asked for, prints what came of it, ends with its status.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CommanderError, Option, Command as Program } from 'commander'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { Failure, type FailureFacts } from '../schema/cli/failure.ts'
import { unknownWord } from '../schema/cli/usage.ts'
import type { Command, CommandContext } from './commands/context.ts'
import { buildOutput } from './commands/output.ts'
import { groups, type Leaf, leaves } from './commands/tree.ts'
import { buildMachine, readAgentVersion } from './machine.ts'

const words = process.argv.slice(2)
const output = buildOutput(process, { json: words.includes('--json'), noColor: words.includes('--no-color') })
const stop = new AbortController()
let stoppedBy: 'SIGINT' | 'SIGTERM' | null = null

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one does not wait: the journal knows how to go on.
    if (stoppedBy !== null) process.exit(exitOfSignal(signal))
    stoppedBy = signal
    stop.abort(new Error(`stopped by ${signal}`))
  })
}
// Whoever reads us may stop reading, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.ok)
  throw error
})

if (words[0] === 'fleet') process.exitCode = await runFleet(words)
else process.exitCode = await runCommandLine(words)
if (stoppedBy !== null && process.exitCode !== EXIT.ok) process.exitCode = exitOfSignal(stoppedBy)

async function runCommandLine(argv: readonly string[]): Promise<ExitCode> {
  let exit: ExitCode = EXIT.ok
  const program = buildProgram(async (leaf, args, options) => {
    exit = await runLeaf(leaf, args, options)
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exit
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(error)
    return error.exitCode === 0 ? EXIT.ok : fail(new Failure(usageFacts(error, argv)))
  }
}

type Action = (leaf: Leaf, args: readonly unknown[], options: object) => Promise<void>

function buildProgram(action: Action): Program {
  const program = prepare(new Program('netlink'))
    .description('Updates this host in place from signed releases, proves it healthy, or goes back.')
    .version(`netlink ${readAgentVersion()}`, '-V, --version', 'the version of this program')
    .helpCommand(false)
    // `changelog --version 0b1` means its own option: ours count before the first command only.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  netlink update check\n  netlink update upgrade --latest\n  netlink agent status\n',
    )
    .action(() => program.outputHelp())
  for (const group of groups) {
    const command = prepare(program.command(group.name)).description(group.summary).helpCommand(false)
    command.action(() => command.outputHelp())
    for (const leaf of group.children) addLeaf(command, leaf, action)
  }
  for (const leaf of leaves) addLeaf(program, leaf, action)
  return program
}

/** Everything that commander would print or end by itself comes back to us. */
function prepare(command: Program): Program {
  return command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: (text) => process.stdout.write(text) })
    .addOption(new Option('--json', 'one JSON document; long operations print an event a line'))
    .addOption(new Option('--no-color', 'no colour'))
}

function addLeaf(parent: Program, leaf: Leaf, action: Action): void {
  const command = prepare(parent.command(leaf.name)).description(leaf.summary)
  for (const [name, description] of leaf.args ?? []) command.argument(name, description)
  for (const [flags, description] of leaf.options ?? []) command.option(flags, description)
  if (leaf.examples.length > 0)
    command.addHelpText('after', `\nExamples:\n${leaf.examples.map((line) => `  ${line}\n`).join('')}`)
  // `backup create --full` and its like are known to be not there, whatever their options are.
  if (leaf.summary === 'not in this version') command.allowUnknownOption().allowExcessArguments()
  command.action((...all: unknown[]) => action(leaf, all.slice(0, leaf.args?.length ?? 0), command.opts()))
}

async function runLeaf(leaf: Leaf, args: readonly unknown[], options: object): Promise<ExitCode> {
  try {
    const { run } = await leaf.load()
    const context: CommandContext = {
      machine: buildMachine(process, Math.random, `netlink ${words.slice(0, 2).join(' ')}`),
      output,
      signal: stop.signal,
      stoppedBy: () => stoppedBy,
      become,
    }
    const named = Object.fromEntries((leaf.args ?? []).map(([name], index) => [camelCase(name), args[index]]))
    // Commander has read the options that tree.ts declares; each command names the ones that it takes.
    return await (run as Command<object>)(context, { ...options, ...named })
  } catch (error) {
    return fail(error)
  }
}

function become(entry: URL, nodeFlags: readonly string[]): never {
  const { execve } = process
  if (!execve) throw new Error('this Node can’t replace its process')
  return execve.call(process, process.execPath, [process.execPath, ...nodeFlags, fileURLToPath(entry)], process.env)
}

/** `[update-id]` becomes `updateId`. */
function camelCase(name: string): string {
  return name.replace(/[[\]<>]/g, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

async function fail(error: unknown): Promise<ExitCode> {
  const facts = error instanceof Failure ? error.facts : await explain(error)
  output.failure(facts)
  return facts.exit
}

async function explain(error: unknown): Promise<FailureFacts> {
  const { explainError } = await import('./explain.ts')
  const { readCurrentVersion } = await import('./current-version.ts')
  const { paths } = buildMachine(process, Math.random, 'netlink')
  let installed: string | null | undefined
  try {
    installed = readCurrentVersion(paths)
  } catch {
    installed = undefined // one error is enough; this one is about something else
  }
  return explainError(error, { installed })
}

function usageFacts(error: CommanderError, argv: readonly string[]): FailureFacts {
  const { command, commands, options } = placeOf(argv)
  const quoted = /'([^']+)'/.exec(error.message)?.[1] ?? ''
  if (error.code === 'commander.unknownCommand')
    return unknownWord({ kind: 'command', word: quoted, known: commands, command })
  if (error.code === 'commander.unknownOption')
    return unknownWord({ kind: 'option', word: quoted, known: options, command })
  // A group with a word that is none of its commands is an argument too many to commander, and a wrong word to people.
  const stray = argv.slice(command.split(' ').length - 1).find((word) => !word.startsWith('-'))
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
function placeOf(argv: readonly string[]): { command: string; commands: string[]; options: string[] } {
  const common = ['--json', '--no-color', '--help']
  const group = groups.find((one) => one.name === argv[0])
  const leaf = group ? group.children.find((one) => one.name === argv[1]) : leaves.find((one) => one.name === argv[0])
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

function exitOfSignal(signal: 'SIGINT' | 'SIGTERM'): ExitCode {
  return signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
}

/** `netlink fleet …` is `netlink-admin fleet …`, where that is installed. */
function runFleet(argv: readonly string[]): Promise<ExitCode> {
  return new Promise((resolve) => {
    const child = spawn('netlink-admin', argv, { stdio: 'inherit' })
    child.once('exit', (code) => resolve((code ?? EXIT.unexpected) as ExitCode))
    child.once('error', () => {
      resolve(
        fail(
          new Failure({
            code: 'E-NO-ADMIN',
            exit: EXIT.usage,
            title: 'netlink-admin is not installed here',
            detail: 'netlink fleet … runs netlink-admin fleet …, which is not on the PATH.',
            state: 'Nothing was done.',
            next: ['netlink-admin fleet status'],
          }),
        ),
      )
    })
  })
}
