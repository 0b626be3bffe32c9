// A server for each test and the publisher's command line against it: both in this process, which is quick, or the command as one of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { freePorts } from '../services/free-port.ts'
import { type Outcome, run } from '../world/programs.ts'
import { publishHere } from '../world/publisher-here.ts'
import { serveHere } from '../world/server-here.ts'
import { tempFolder } from './folder.ts'
import { type Line, openProxy } from './proxy.ts'

const root = join(import.meta.dirname, '..', '..')

export interface PublisherWorld {
  readonly folder: string
  readonly port: number
  /** Runs `netlink-publish` in the folder of this world: the whole command line, in this process. */
  publish(...args: readonly string[]): Promise<Outcome>
  /** The same as a process of its own. */
  process(...args: readonly string[]): Promise<Outcome>
  /** As `publish`, for somebody at a terminal who answers every question like this. */
  answering(answer: boolean, ...args: readonly string[]): Promise<Outcome>
  /** As `publish`, with what it takes to sign as these holders. */
  signing(holders: readonly string[], ...args: readonly string[]): Promise<Outcome>
  /** Runs `netlink-publish init` for these holders. */
  init(holders: readonly string[], ...args: readonly string[]): Promise<Outcome>
  /** A process of its own, still running. */
  begin(...args: readonly string[]): ChildProcess
}

/** A server that serves, passphrases for alice, bob and carol, and both example releases. `serverPort`: what the publisher is told, if not the server's own. */
export async function openWorld(
  options: {
    readonly serverPort?: (port: number) => Promise<number>
    /** Variables that the publisher's command line sees. */
    readonly environment?: NodeJS.ProcessEnv
  } = {},
): Promise<PublisherWorld> {
  const folder = await tempFolder()
  const port = await freePorts(1)
  for (const name of ['alice', 'bob', 'carol'])
    await writeFile(join(folder, `${name}.pass`), `${name}'s passphrase\n`, { mode: 0o600 })
  for (const app of ['app-v1', 'app-v2'])
    await cp(join(root, 'docs', 'examples', app), join(folder, app), { recursive: true })
  const server = await serveHere(folder, port)
  onTestFinished(server.end)
  const told = (await options.serverPort?.(port)) ?? port
  const publish = (...args: readonly string[]) => publishHere(folder, args, options.environment)
  return {
    folder,
    port,
    publish,
    answering: (answer, ...args) => publishHere(folder, args, {}, async () => answer),
    process: (...args) => run(folder, 'netlink-publish', args),
    signing: (holders, ...args) => publish(...args, ...asSigners(holders)),
    init: (holders, ...args) =>
      publish(
        ...['init', '--dir', 'pub', '--product', 'demo', '--server', `http://127.0.0.1:${told}`],
        ...['--token-file', 'srv/secrets/publish.token', ...holders.flatMap(passphraseOf), ...args],
      ),
    begin: (...args) => {
      const child = spawn(process.execPath, [join(root, 'publisher', 'bin.cjs'), ...args], {
        cwd: folder,
        stdio: 'ignore',
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    },
  }
}

/** Flags that sign as these holders. */
export function asSigners(holders: readonly string[]): readonly string[] {
  return holders.flatMap((name) => ['--signer', name, ...passphraseOf(name)])
}

function passphraseOf(name: string): readonly string[] {
  return ['--passphrase-file', `${name}=${name}.pass`]
}

/** The result of a command that was run with --json: its last line, or the whole document. */
export function answerOf(outcome: Outcome): Record<string, unknown> & { ok: boolean } {
  const text = outcome.stdout.trim()
  return JSON.parse(text.startsWith('{\n') ? text : (text.split('\n').at(-1) ?? ''))
}

/** What is published, newest first, as the folder `pub` sees it. */
export async function versionsOf(world: PublisherWorld): Promise<readonly string[]> {
  const outcome = await world.publish('list', '--json', '--dir', 'pub')
  if (outcome.status !== 0) throw new Error(outcome.stdout + outcome.stderr)
  return (answerOf(outcome).releases as { version: string }[]).map(({ version }) => version)
}

/** A world whose line to the server can be cut. */
export async function openProxiedWorld(): Promise<{ world: PublisherWorld; proxy: Line }> {
  const opened: Line[] = []
  const world = await openWorld({
    serverPort: async (port) => {
      const proxy = await openProxy(port)
      opened.push(proxy)
      return proxy.port
    },
  })
  const [proxy] = opened
  if (proxy === undefined) throw new Error('no proxy')
  return { world, proxy }
}
