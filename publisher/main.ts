// netlink-publish: the release engineer's program. Keys, archives, signed releases; everything it says is checked the way hosts check it.
//
//   init                     keys for each holder, the first root, handed to a server that has none
//   release V --from DIR     check, build, sign, verify, publish, read back
//   promote V --to beta      the same bytes for a more stable channel
//   yank V --reason R        withdraw
//   list, show, status, verify, keys, changelog, build, check, publish
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Command, CommanderError } from 'commander'
import { systemClock } from '../keys/platform/clock.ts'
import { nodeDisk } from '../keys/platform/disk.ts'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { decideColor } from '../schema/cli/paint.ts'
import { unknownWord } from '../schema/cli/usage.ts'
import { addBuild, addCheck } from './commands/build.ts'
import { addChangelogCommands } from './commands/changelog.ts'
import { buildContext, tellFailure } from './commands/context.ts'
import { addInit } from './commands/init.ts'
import { addKeysCommands } from './commands/keys.ts'
import { addList } from './commands/list.ts'
import { addPromote } from './commands/promote.ts'
import { addPublish } from './commands/publish.ts'
import { addRelease } from './commands/release.ts'
import { addShow } from './commands/show.ts'
import { addStatus } from './commands/status.ts'
import { addVerify } from './commands/verify.ts'
import { addYank } from './commands/yank.ts'
import { readEnvironment } from './config.ts'
import type { Streams } from './output.ts'
import type { Machine } from './workshop.ts'

const version = readVersion()
const argv = process.argv.slice(2)
const interrupted = listenForSignals()
const streams = openStreams(argv)
const context = buildContext(openMachine(interrupted), streams, (code) => end(code))
await run(buildProgram(), argv)

function buildProgram(): Command {
  const program = new Command('netlink-publish')
    .description('sign and publish releases')
    .version(version)
    .showHelpAfterError(false)
    .configureOutput({ writeErr: () => undefined })
    .exitOverride()
  const parts = [
    addInit,
    addBuild,
    addCheck,
    addRelease,
    addPublish,
    addPromote,
    addYank,
    addList,
    addShow,
    addStatus,
    addVerify,
    addKeysCommands,
    addChangelogCommands,
  ]
  for (const add of parts) add(program, context)
  for (const command of allCommands(program)) command.exitOverride().configureOutput({ writeErr: () => undefined })
  return program
}

function allCommands(command: Command): readonly Command[] {
  return command.commands.flatMap((one) => [one, ...allCommands(one)])
}

async function run(program: Command, words: readonly string[]): Promise<void> {
  try {
    if (words.length === 0) {
      streams.stderr(program.helpInformation())
      return end(EXIT.usage)
    }
    await program.parseAsync(words, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return end(EXIT.ok)
    const told = error instanceof CommanderError ? usageFailure(program, words, error) : error
    end(tellFailure(streams, told, { json: words.includes('--json'), events: false, signal: interrupted }))
  }
}

/** commander's refusals in this project's words; a misspelt word gets the nearest right one. */
function usageFailure(program: Command, words: readonly string[], error: CommanderError): Failure {
  const command = commandOf(program, words)
  const path = pathOf(command)
  const word = /'([^']+)'/.exec(error.message)?.[1]?.split(' ')[0] ?? ''
  if (error.code === 'commander.unknownOption') {
    const known = command.options.flatMap(({ long }) => long ?? [])
    return new Failure(unknownWord({ kind: 'option', word, known, command: path }), { cause: error })
  }
  const isGroup = command.commands.length > 0
  if (error.code === 'commander.unknownCommand' || (isGroup && error.code === 'commander.excessArguments')) {
    const known = command.commands.map((one) => one.name())
    return new Failure(unknownWord({ kind: 'command', word, known, command: path }), { cause: error })
  }
  const isHelp = error.code === 'commander.help'
  return new Failure(
    {
      code: 'E-USAGE',
      exit: EXIT.usage,
      title: isHelp ? `${path} needs a command` : error.message.replace(/^error: /, ''),
      detail: isHelp ? `possible here: ${command.commands.map((one) => one.name()).join(', ')}` : '',
      state: 'Nothing was done.',
      next: [`${path} --help`],
    },
    { cause: error },
  )
}

function commandOf(program: Command, words: readonly string[]): Command {
  const [word, ...rest] = words
  const next = program.commands.find((one) => one.name() === word)
  return next === undefined ? program : commandOf(next, rest)
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

// ---- the machine -------------------------------------------------------------------------------------------------------------------

function openMachine(signal: AbortSignal): Machine {
  return {
    disk: nodeDisk,
    clock: systemClock,
    cwd: process.cwd(),
    environment: readEnvironment(process.env),
    userAgent: `netlink-publish/${version}`,
    signal,
    ask: process.stdin.isTTY && process.stderr.isTTY ? askHidden : undefined,
  }
}

function openStreams(words: readonly string[]): Streams {
  const isTerminal = process.stderr.isTTY === true
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    columns: isTerminal ? process.stderr.columns : null,
    color: decideColor({
      isTerminal: isTerminal && process.stdout.isTTY === true,
      noColorFlag: words.includes('--no-color'),
      environment: process.env,
    }),
  }
}

/** The first signal ends the running step and keeps what can be resumed; the second ends at once. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController()
  const codes = [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const
  for (const [signal, exit] of codes) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(exit)
      controller.abort(
        new Failure({
          code: 'E-INTERRUPTED',
          exit,
          title: `stopped by ${signal}`,
          detail: '',
          state: 'What was uploaded stays on the server, and what was signed stays in the folder.',
          next: ['netlink-publish status', 'netlink-publish publish VERSION'],
        }),
      )
    })
  }
  return controller.signal
}

/** Reads one line from the terminal without showing it. */
function askHidden(question: string): Promise<string> {
  process.stderr.write(question)
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true })
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      lines.close()
      process.emit('SIGINT')
    })
    lines.once('close', () => reject(interrupted.reason ?? new Error('nothing was typed')))
    lines.question('', (answer) => {
      process.stderr.write('\n')
      resolve(answer)
      lines.close()
    })
  })
}

function end(code: ExitCode): void {
  process.exitCode = code
}

/** The version in this package's package.json, one folder up in a checkout and two in the built package. */
function readVersion(): string {
  for (const up of ['..', '../..']) {
    try {
      const { name, version: found } = JSON.parse(readFileSync(join(import.meta.dirname, up, 'package.json'), 'utf8'))
      if (name === 'netlink-update' && typeof found === 'string') return found
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  throw new Error('package.json of netlink-update is missing')
}
