// The command line of `netlink-admin`: names, options and help. What commands do is in commands/.
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { decideColor } from '../../schema/cli/paint.ts'
import { buildClient } from './client.ts'
import { callApi } from './commands/api.ts'
import { pinHost, showAssignment, unpinHost } from './commands/assignments.ts'
import { fleetStatus, setBrake } from './commands/fleet.ts'
import { checkNow, forgetHost, hostHistory, listHosts, showHost } from './commands/hosts.ts'
import { listReleases, showChangelog, showRelease } from './commands/releases.ts'
import type { CommandContext } from './context.ts'
import type { AdminDeps } from './deps.ts'
import { failureFactsOf, usageFailure } from './failures.ts'
import { buildOutput, type Output } from './output.ts'
import { type GlobalOptions, loadConnection } from './settings.ts'

interface Options extends GlobalOptions {
  readonly json?: boolean
  readonly color?: boolean
}

const EXAMPLES = `
Examples:
  netlink-admin fleet status --server https://updates.example.com --token-file admin.token
  netlink-admin hosts list --where 'version=0r1 and group in (eu,us)' --sort=-last_seen
  netlink-admin pause --reason 'looking into web-3'
  netlink-admin api GET '/api/v1/hosts?limit=5' | jq .items

Settings: flag, then NETLINK_SERVER and NETLINK_TOKEN. A token never goes into
an argument.`

/** Runs one command line to its end. Resolves with the exit status; nothing is thrown. */
export async function runAdmin(deps: AdminDeps, version: string): Promise<ExitCode> {
  // Known before the arguments are parsed, so that an error in them is told in the form that was asked for.
  const output = outputOf(deps, {
    json: deps.argv.includes('--json'),
    color: !deps.argv.includes('--no-color'),
  })
  try {
    return await parseAndRun(deps, version)
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    // The help itself was shown because a command was missing.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage
    if (deps.signal.aborted && !(error instanceof Failure)) return EXIT.interrupted
    const facts = failureFactsOf(error instanceof CommanderError ? misused(error) : error)
    output.failure(facts)
    return facts.exit
  }
}

async function parseAndRun(deps: AdminDeps, version: string): Promise<ExitCode> {
  let status: ExitCode = EXIT.ok
  /** An action of commander that runs one of ours. */
  const run =
    <Args extends readonly unknown[]>(command: (context: CommandContext, ...args: Args) => Promise<ExitCode>) =>
    async (...given: readonly unknown[]): Promise<void> => {
      const self = given.at(-1)
      if (!(self instanceof Command)) throw new Error('commander passes the command last')
      // commander gives a command its arguments, its own options, itself; what each takes is declared below.
      status = await command(await contextOf(deps, self.optsWithGlobals()), ...(given.slice(0, -1) as unknown as Args))
    }
  await buildProgram(deps, version, run).parseAsync([...deps.argv], { from: 'user' })
  return status
}

/** What commander does not understand, in four parts. It guesses what was meant, in a line of its own. */
function misused(error: CommanderError): Failure {
  const [title = '', guess = ''] = error.message.replace(/^error: /, '').split('\n')
  return usageFailure(title, guess.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?'), ['netlink-admin --help'])
}

type Run = <Args extends readonly unknown[]>(
  command: (context: CommandContext, ...args: Args) => Promise<ExitCode>,
) => (...given: readonly unknown[]) => Promise<void>

function buildProgram(deps: AdminDeps, version: string, run: Run): Command {
  const program = new Command('netlink-admin')
    .description('See and steer a fleet over the REST API of its server.')
    .version(version)
    .option('--server <url>', 'the server (NETLINK_SERVER)')
    .option('--token-file <file>', 'a file that holds the token (NETLINK_TOKEN holds the token itself)')
    .option('--ca <file>', "PEM of the server's own certificate authority")
    .option('--insecure-http', 'plain http to another machine, where everybody on the way can read the token')
    .option('--json', 'one JSON document on stdout')
    .option('--no-color', 'no colour (NO_COLOR)')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({ writeOut: deps.stdout, writeErr: deps.stderr, outputError: () => undefined })
  addFleet(program, run)
  addHosts(program, run)
  addReleases(program, run)
  program
    .command('api <method> <path>')
    .description('any request, answered as it is')
    .option('--data <json>', 'the body, or @FILE')
    .action(run(callApi))
  return program
}

function addFleet(program: Command, run: Run): void {
  program
    .command('fleet')
    .description('the fleet as a whole')
    .command('status')
    .description('what runs where, who waits and why')
    .option('--by <dimension>', 'count by version, channel, group or state', 'version')
    .option('--watch', 'again every two seconds')
    .action(run(fleetStatus))
  program
    .command('pause')
    .description('put the brake on: no automatic update starts anywhere')
    .requiredOption('--reason <text>', 'why; hosts and the audit log are told')
    .action(run((context, options: { reason: string }) => setBrake(context, true, options)))
  program
    .command('resume')
    .description('take the brake off')
    .requiredOption('--reason <text>', 'why; the audit log is told')
    .action(run((context, options: { reason: string }) => setBrake(context, false, options)))
}

function addHosts(program: Command, run: Run): void {
  const hosts = program.command('hosts').description('single hosts')
  paged(hosts.command('list'))
    .description('hosts, filtered, in pages')
    .option('--where <filter>', "such as 'version=0r1 and last_seen<1h'")
    .option('--sort <field>', 'name, version, last_seen or host_id; with a minus before it the other way round')
    .action(run(listHosts))
  hosts.command('show <host>').description('one host, by name or id').action(run(showHost))
  paged(hosts.command('history <host>')).description('what it reported, newest first').action(run(hostHistory))
  hosts
    .command('check-now <host>')
    .description('have it look for releases now')
    .option('--reason <text>', 'for the audit log')
    .action(run(checkNow))
  hosts
    .command('pin <host>')
    .description('direct it to a version and keep it there, within its own policy')
    .requiredOption('--to <version>', 'which')
    .option('--authorization <file>', 'for a way down: what netlink-publish authorize-downgrade wrote')
    .option('--expires <duration>', 'for how long: 12h, 30d (default: 30d)')
    .option('--rollout <words>', 'what this belongs to')
    .option('--dry-run', 'check everything and change nothing')
    .option('--reason <text>', 'for the audit log')
    .action(run(pinHost))
  hosts
    .command('unpin <host>')
    .description('let it go by its own policy again')
    .option('--dry-run', 'check everything and change nothing')
    .option('--reason <text>', 'for the audit log')
    .action(run(unpinHost))
  hosts.command('assignment <host>').description('what it is directed to').action(run(showAssignment))
  hosts
    .command('forget <host>')
    .description('delete its key and its history here; it may enrol again, what runs on it stays')
    .option('--dry-run', 'check everything and change nothing')
    .option('--reason <text>', 'for the audit log')
    .action(run(forgetHost))
}

function addReleases(program: Command, run: Run): void {
  const releases = program.command('releases').description('what is published')
  paged(releases.command('list'))
    .description('greatest version first')
    .option('--channel <channel>', 'alpha, beta or release')
    .action(run(listReleases))
  releases.command('show <version>').description('one release').action(run(showRelease))
  releases
    .command('changelog <version>')
    .description('what changed in it')
    .option('--format <format>', 'text, markdown or json', 'text')
    .action(run(showChangelog))
}

function paged(command: Command): Command {
  return command
    .option('--limit <count>', 'items in a page, 1 to 500', parseLimit)
    .option('--cursor <cursor>', 'the next page, as the one before named it')
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (/^\d+$/.test(text) && limit >= 1 && limit <= 500) return limit
  throw new InvalidArgumentError('expected 1 to 500')
}

async function contextOf(deps: AdminDeps, options: Options): Promise<CommandContext> {
  const output = outputOf(deps, { json: options.json === true, color: options.color !== false })
  const connection = await loadConnection(deps, options, output.note)
  return { deps, output, client: buildClient(connection, deps) }
}

function outputOf(deps: AdminDeps, wanted: { readonly json: boolean; readonly color: boolean }): Output {
  const facts = { isTerminal: deps.columns !== null, noColorFlag: !wanted.color, environment: deps.environment }
  const style = { color: decideColor(facts), width: deps.columns }
  return buildOutput({ stdout: deps.stdout, stderr: deps.stderr, json: wanted.json, style })
}
