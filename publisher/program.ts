// The command line: every command, its flags, and how a run ends. It touches the world only through the machine and the streams that it is handed.
import { Command, CommanderError } from 'commander'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { unknownWord } from '../schema/cli/usage.ts'
import { addAbort } from './commands/abort.ts'
import { addAddSignature } from './commands/add-signature.ts'
import { addAuthorizeDowngrade } from './commands/authorize-downgrade.ts'
import { addBuild, addCheck } from './commands/build.ts'
import { addBundle } from './commands/bundle.ts'
import { addChangelogCommands } from './commands/changelog.ts'
import { buildContext, tellFailure } from './commands/context.ts'
import { addExpireCommands } from './commands/expire.ts'
import { addInit } from './commands/init.ts'
import { addKeysCommands } from './commands/keys.ts'
import { addList } from './commands/list.ts'
import { addMinimum } from './commands/minimum.ts'
import { addPromote } from './commands/promote.ts'
import { addPropose } from './commands/propose.ts'
import { addPublish } from './commands/publish.ts'
import { addRelease } from './commands/release.ts'
import { addResend } from './commands/resend.ts'
import { addRootCommands } from './commands/root.ts'
import { addShow } from './commands/show.ts'
import { addSign } from './commands/sign.ts'
import { addStatus } from './commands/status.ts'
import { addVerify } from './commands/verify.ts'
import { addYank } from './commands/yank.ts'
import type { Streams } from './output.ts'
import type { Machine } from './workshop.ts'

/** Runs one command line to its end; resolves with the exit status and never rejects. `version` is what --version prints. */
export async function runProgram(
  words: readonly string[],
  machine: Machine,
  streams: Streams,
  version: string,
): Promise<ExitCode> {
  let status: ExitCode = EXIT.ok
  const context = buildContext(machine, streams, (code) => {
    status = code
  })
  const program = new Command('netlink-publish')
    .description('Signs releases with the keys of people, publishes them, and shows what the public sees.')
    .version(version)
    .addHelpText('after', HELP)
  for (const add of COMMANDS) add(program, context)
  for (const command of [program, ...allCommands(program)]) {
    command.exitOverride().configureOutput({ writeOut: streams.stdout, writeErr: () => undefined })
  }
  try {
    if (words.length === 0) {
      streams.stderr(program.helpInformation())
      return EXIT.usage
    }
    await program.parseAsync(words, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    const told = error instanceof CommanderError ? usageFailure(program, words, error) : error
    return tellFailure(streams, told, { json: words.includes('--json'), events: false, signal: machine.signal })
  }
}

const HELP = `
Examples:
  netlink-publish release 0r2 --from app --signer alice --passphrase-file alice=alice.pass
  netlink-publish status
  netlink-publish verify 0r2

Settings: flag, then NETLINK_SERVER, NETLINK_TOKEN and NETLINK_CONFIG, then
netlink.publish.yml. What a command takes, --json too: COMMAND --help.`

const COMMANDS = [
  addInit,
  addAuthorizeDowngrade,
  addBuild,
  addCheck,
  addRelease,
  addPublish,
  addPromote,
  addYank,
  addMinimum,
  addPropose,
  addSign,
  addAddSignature,
  addAbort,
  addList,
  addShow,
  addStatus,
  addVerify,
  addRootCommands,
  addExpireCommands,
  addResend,
  addBundle,
  addKeysCommands,
  addChangelogCommands,
]

function allCommands(command: Command): readonly Command[] {
  return command.commands.flatMap((one) => [one, ...allCommands(one)])
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
  const invalid = INVALID.exec(error.message)
  if (error.code === 'commander.invalidArgument' && invalid !== null) {
    const [, flag, value = '', detail = ''] = invalid
    const where = flag === undefined ? path : `${path} ${flag}`
    return new Failure(
      {
        ...{ code: 'E-USAGE', exit: EXIT.usage, title: `${where} does not take ${JSON.stringify(value)}` },
        ...{ detail: detail, state: 'Nothing was done.', next: [`${path} --help`] },
      },
      { cause: error },
    )
  }
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

/** commander: `error: command-argument value '0z4' is invalid for argument 'version'. Expected …`, `error: option '--to <channel>' argument 'x' is invalid. …`. */
const INVALID =
  /^error: (?:command-argument value|option '([^' ]+)[^']*' argument) '(.*)' is invalid(?: for argument '[^']*')?\. (.*)$/s

function commandOf(program: Command, words: readonly string[]): Command {
  const [word, ...rest] = words
  const next = program.commands.find((one) => one.name() === word)
  return next === undefined ? program : commandOf(next, rest)
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}
