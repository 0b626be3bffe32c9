// The command line of `netlink-server`: its commands, their options and help, and what is said about words it does not know.
import { Command, CommanderError } from 'commander'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { unknownWord } from '../schema/cli/usage.ts'
import { type Answer, defaultDir, type Machine, perform, tellFailure } from './commands/context.ts'
import { DEFAULT_LISTEN } from './config.ts'

/** Only the command that was asked for is loaded: the database alone takes longer than all of `--help`. */
const load = {
  init: () => import('./commands/init.ts'),
  serve: () => import('./commands/serve.ts'),
  token: () => import('./commands/token.ts'),
  migrate: () => import('./commands/migrate.ts'),
  doctor: () => import('./commands/doctor.ts'),
  keys: () => import('./commands/keys.ts'),
}

/** Runs a command to its end; resolves with the exit status. Paths are relative to the process's folder. */
export async function runProgram(args: readonly string[], machine: Machine): Promise<number> {
  let status: number = EXIT.ok
  const program = buildProgram(machine, (code) => {
    status = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    const told = error instanceof CommanderError ? misused(program, error) : error
    return tellFailure(machine, told, { json: args.includes('--json') })
  }
}

function buildProgram(machine: Machine, done: (status: number) => void): Command {
  const shared = (command: Command) => withShared(command, machine)
  const mutating = (command: Command) => shared(command).option('--reason <words>', 'why, for the audit log')
  const program = new Command('netlink-server')
    .description('Stores signed releases, tells hosts about them, and keeps the state of the fleet.')
    .version(machine.version)
    .addHelpText(
      'after',
      `${examples([
        'netlink-server init --dir srv',
        'netlink-server serve --dir srv',
        'netlink-server enroll-token create --dir srv --uses 10 --out enroll.token',
      ])}
Settings: flag, then NETLINK_SERVER_DIR, NETLINK_LISTEN and NETLINK_PUBLIC_URL,
then server.yml. What a command takes, --json too: COMMAND --help.`,
    )
  const answer = <O extends { readonly json?: boolean }>(options: O, command: () => Promise<Answer>) =>
    perform(machine, options, command).then(done)

  shared(program.command('init'))
    .description('make a folder a server: keys, database, tokens')
    .option(
      '--db <url>',
      'a PostgreSQL server instead of the embedded database: postgres://user:password@host/database',
    )
    .option('--db-file <file>', 'the same, from a file')
    .option('--storage <kind>', 'fs or s3', 'fs')
    .option('--s3-endpoint <url>', 'address of the S3 server')
    .option('--s3-bucket <name>', 'bucket, which must be there')
    .option('--s3-region <name>', 'region (default: us-east-1)')
    .option('--s3-prefix <path/>', 'folder in the bucket')
    .option('--s3-credentials <file>', 'YAML or JSON with access_key and secret_key')
    .option('--public-url <url>', 'under which agents and publishers reach this server')
    .option('--listen <host:port>', 'where serve will listen', DEFAULT_LISTEN)
    .addHelpText(
      'after',
      examples([
        'netlink-server init --dir srv',
        'netlink-server init --dir srv --db-file db.url --storage s3 --s3-endpoint https://s3.example.com --s3-bucket releases --s3-credentials s3.yml',
      ]),
    )
    .action((options) => answer(options, async () => (await load.init()).init(machine, options)))

  shared(program.command('serve'))
    .description('answer agents, publishers and admins until SIGTERM')
    .option('--listen <host:port>', `where to listen (default: the configured address, else ${DEFAULT_LISTEN})`)
    .option('--migrate', 'bring the database up to date first')
    .addHelpText(
      'after',
      examples(['netlink-server serve --dir srv --listen 127.0.0.1:8400', 'netlink-server serve --dir srv --migrate']),
    )
    .action(async (options) => done(await (await load.serve()).serve(machine, options)))

  const token = program.command('token').description('tokens of people and programs')
  mutating(token.command('create'))
    .description('make a token; its secret is shown once')
    .requiredOption('--name <name>', 'whose it is')
    .requiredOption('--scope <scope>', 'read, host-enroll, publish, rollout or admin')
    .option('--expires <duration>', 'for how long it is good: 90d, 12h (default: for ever)')
    .option('--group <name>', 'only for hosts of this group')
    .option('--uses <n>', 'how many hosts it may enrol (scope host-enroll)')
    .option('--out <file>', 'write the secret to this file (0600) instead of showing it')
    .addHelpText(
      'after',
      examples(['netlink-server token create --dir srv --name ci --scope publish --expires 90d --out ci.token']),
    )
    .action((options) => answer(options, async () => (await load.token()).createToken(machine, options)))
  shared(token.command('list'))
    .description('all tokens, without secrets')
    .action((options) => answer(options, async () => (await load.token()).listTokens(machine, options)))
  mutating(token.command('revoke'))
    .description('make a token worth nothing, at once')
    .argument('<id>', 'as token list shows it')
    .action((id, options) => answer(options, async () => (await load.token()).revokeToken(machine, id, options)))
  mutating(token.command('rotate'))
    .description('a new secret with the same rights; the old one ends at once')
    .argument('<id>', 'as token list shows it')
    .option('--out <file>', 'write the secret to this file (0600) instead of showing it')
    .action((id, options) => answer(options, async () => (await load.token()).rotateToken(machine, id, options)))

  const enrollToken = program.command('enroll-token').description('tokens by which machines become hosts')
  mutating(enrollToken.command('create'))
    .description('make one and write it to a file')
    .requiredOption('--uses <n>', 'how many hosts it enrols')
    .option('--expires <duration>', 'for how long it is good', '1d')
    .option('--group <name>', 'the group that hosts enrolled with it belong to')
    .option('--name <name>', 'a name for lists')
    .requiredOption('--out <file>', 'where the token goes (0600)')
    .option('--force', 'write over a file that is there')
    .addHelpText(
      'after',
      examples(['netlink-server enroll-token create --dir srv --uses 10 --expires 1d --group eu --out enroll.token']),
    )
    .action((options) => answer(options, async () => (await load.token()).createEnrollToken(machine, options)))

  const migrate = program.command('migrate').description("the database's tables")
  shared(migrate.command('status'))
    .description('which migrations ran')
    .action((options) => answer(options, async () => (await load.migrate()).migrationStatus(machine, options)))
  shared(migrate.command('plan'))
    .description('the SQL that up would run')
    .action((options) => answer(options, async () => (await load.migrate()).migrationPlan(machine, options)))
  shared(migrate.command('up'))
    .description('run what is pending, all or nothing')
    .action((options) => answer(options, async () => (await load.migrate()).migrateUp(machine, options)))

  const keys = program.command('keys').description("the server's own keys: which sign, and how they are replaced")
  shared(keys.command('list'))
    .description('every key, and what root says of it')
    .action((options) => answer(options, async () => (await load.keys()).listKeys(machine, options)))
  shared(keys.command('rotate'))
    .description('make a new key; the old one goes on signing until root names the new one alone')
    .argument('<roles...>', 'timestamp, snapshot, director')
    .option('--at-once', 'the old key was lost or stolen: name the new one alone')
    .option('--out <file>', 'write the public halves to this file instead of showing them')
    .addHelpText('after', examples(['netlink-server keys rotate timestamp snapshot --dir srv --out online-keys.json']))
    .action((roles, options) => answer(options, async () => (await load.keys()).rotateKeys(machine, roles, options)))
  shared(keys.command('export'))
    .description('public halves, for netlink-publish init and netlink-publish root rotate')
    .option('--newest', 'for each role the newest key alone')
    .option('--out <file>', 'write them to this file instead of showing them')
    .action((options) => answer(options, async () => (await load.keys()).exportKeys(machine, options)))
  shared(keys.command('prune'))
    .description('remove the secrets of keys that root names no longer')
    .action((options) => answer(options, async () => (await load.keys()).pruneKeys(machine, options)))

  shared(program.command('doctor'))
    .description('look at everything a server needs')
    .addHelpText('after', examples(['netlink-server doctor --dir srv', 'netlink-server doctor --dir srv --json']))
    .action((options) => answer(options, async () => (await load.doctor()).doctor(machine, options)))

  for (const command of everyCommand(program))
    command.exitOverride().configureOutput({ outputError: () => {}, writeOut: machine.stdout })
  return program
}

function withShared(command: Command, machine: Machine): Command {
  return command
    .option('--dir <folder>', "the server's folder", defaultDir(machine))
    .option('--json', 'answer for programs')
    .option('--no-color', 'no colour')
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}

/** What commander does not understand, in four parts. */
function misused(program: Command, error: CommanderError): Failure {
  const words = error.message.replace(/^error: /, '')
  const [, word] = /'([^']*)'/.exec(words) ?? []
  if (error.code === 'commander.unknownCommand' && word !== undefined) {
    const known = program.commands.flatMap((command) => [command.name(), ...command.commands.map((one) => one.name())])
    return new Failure(unknownWord({ kind: 'command', word, known, command: 'netlink-server' }))
  }
  if (error.code === 'commander.unknownOption' && word !== undefined) {
    const known = [
      ...new Set(everyCommand(program).flatMap((command) => command.options.map((option) => option.long ?? ''))),
    ].filter(Boolean)
    return new Failure(unknownWord({ kind: 'option', word, known, command: 'netlink-server' }))
  }
  const shown = error.code === 'commander.help'
  return new Failure({
    code: 'E-USAGE',
    exit: EXIT.usage,
    title: shown ? 'a command is missing' : (words.split('\n')[0] ?? words),
    detail: shown ? 'expected a command and its options' : '',
    state: 'Nothing was done.',
    next: ['netlink-server --help'],
  })
}
