// A runbook, rehearsed: the commands of its page are typed as they stand there, in order, into a world of real processes. What stands between them (the
// theft, the loss, what an attacker tries meanwhile) is the test's.
//
//   ```sh server       the machine on which a block is typed: server, publisher, admin or host
//
// In the rehearsal all of them work in one folder, as if everything that a page carries from one machine to another were there already. What a page calls
// https://updates.example is the server of this world.
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { readEnvironment } from '../../publisher/config.ts'
import { runProgram } from '../../publisher/program.ts'
import { freePorts } from '../services/free-port.ts'
import { NODE_FLAGS, type Outcome, type Program, run, start, until } from '../world/programs.ts'

const root = join(import.meta.dirname, '..', '..')
/** Where the pages lie. */
/** One page is always rehearsed. All of them take minutes: REHEARSALS=1, as .ci/run has it. */
export const REHEARSED = process.env.REHEARSALS === '1'
export const PAGES = join(root, 'docs', 'runbooks')
const HOLDERS = ['alice', 'bob', 'carol'] as const
const BINS: Readonly<Record<Program, string>> = {
  netlink: 'agent/bin.cjs',
  'netlink-publish': 'publisher/bin.cjs',
  'netlink-server': 'server/bin.cjs',
  'netlink-admin': 'server/admin/bin.cjs',
}

export type Machine = 'server' | 'publisher' | 'admin' | 'host'

interface Block {
  readonly machine: Machine
  readonly text: string
}

export interface Rehearsal {
  readonly folder: string
  /** The server's address. */
  readonly server: string
  /** Types the next block of the page, which must be for this machine, and everything in it must work. Resolves with all that was printed. */
  play(machine: Machine): Promise<string>
  /** Every block was typed. */
  end(): void
  /** Types something else on a machine. */
  type(machine: Machine, text: string): Promise<Outcome>
  /** The same, and it has to work. */
  works(machine: Machine, text: string): Promise<string>
  /** Stops the server as `kill -9` does, or politely. */
  stopServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** `srv` unless said otherwise. */
  startServer(dir?: string): Promise<void>
  /** What a page calls `$NAME`, and only who types it knows. */
  set(name: string, value: string): void
  /** Runs the daemon of a host until the server has stored more of it than before. */
  speak(name: string, home?: string): Promise<void>
}

/**
 * The world of a page: a server with a product, keys of alice, bob and carol (2 of 3), the release 0a1, and the host web-01 that has installed it. `read`: how a block
 * is typed where the page's own examples (0a9) are not what happens here.
 */
export async function rehearse(page: string, read: (text: string) => string = (text) => text): Promise<Rehearsal> {
  const blocks = await blocksOf(page)
  const folder = await mkdtemp(join(tmpdir(), 'netlink-runbook-'))
  const port = await freePorts(1)
  const server = `http://127.0.0.1:${port}`
  let serving: ReturnType<typeof start> | undefined
  let played = 0

  const stopServer = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') => {
    const child = serving
    serving = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    await new Promise((resolve) => {
      child.once('exit', resolve)
      child.kill(signal)
    })
  }
  const startServer = async (dir = 'srv') => {
    const args = ['serve', '--dir', dir, '--listen', `127.0.0.1:${port}`]
    serving = start(folder, 'netlink-server', args, 'server.log')
    const ready = await until(30, async () => ((await fetch(`${server}/readyz`)).ok ? true : undefined))
    if (!ready) throw new Error(`the server did not come up:\n${await readFile(join(folder, 'server.log'), 'utf8')}`)
  }
  const variables: Record<string, string> = {}
  let adminToken = ''
  /** What docs/runbooks/README.md says is set on each machine. */
  const environmentOf = (machine: Machine): NodeJS.ProcessEnv => {
    const env = { HOME: folder, PATH: `${join(folder, 'bin')}:${process.env.PATH}`, NO_COLOR: '1', ...variables }
    switch (machine) {
      case 'admin':
        return { ...env, NETLINK_SERVER: server, NETLINK_TOKEN: adminToken }
      case 'publisher':
        return { ...env, SIGN: signersOf(['alice', 'bob']) }
      case 'host':
        return { ...env, NETLINK_HOME: join(folder, 'host') }
      case 'server':
        return env
    }
  }
  const type = (machine: Machine, text: string) =>
    shell(folder, text.replaceAll('https://updates.example', server), environmentOf(machine))
  const works = async (machine: Machine, text: string) => {
    const outcome = await type(machine, text)
    const output = `${outcome.stdout}${outcome.stderr}`
    const troubles = outcome.status === 0 ? '' : await troublesOf(folder)
    expect(outcome.status, `on ${machine}:\n${text}\n${output}${troubles}`).toBe(0)
    return output
  }
  onTestFinished(async () => {
    await stopServer()
    await rm(folder, { recursive: true, force: true })
  })
  await furnish(folder)
  expect(await run(folder, 'netlink-server', ['init', '--dir', 'srv'])).toMatchObject({ status: 0 })
  adminToken = (await readFile(join(folder, 'srv', 'secrets', 'admin.token'), 'utf8')).trim()
  await startServer()
  await initPublisher(folder, 'pub', server)
  await works('publisher', 'netlink-publish release 0a1 --dir pub --from app-v1 $SIGN && cp pub/root.json root.json')
  await works('server', 'netlink-server enroll-token create --dir srv --uses 100 --out enroll.token')
  await works('host', enrolment('web-01'))
  await works('host', 'netlink update upgrade --latest --yes')
  return {
    ...{ folder, server, type, works, stopServer, startServer },
    set: (name, value) => {
      if (name === 'NETLINK_TOKEN') adminToken = value
      else variables[name] = value
    },
    speak: async (name, home = 'host') => {
      const newest = async (): Promise<number> => {
        const headers = { authorization: `Bearer ${adminToken}` }
        const answer = await fetch(`${server}/api/v1/hosts/${name}/history?limit=1`, { headers })
        return ((await answer.json()) as { items: { seq: number }[] }).items[0]?.seq ?? 0
      }
      const before = await newest()
      const agent = start(folder, 'netlink', ['agent', 'run'], `${home}.log`, { NETLINK_HOME: join(folder, home) })
      const told = await until(30, async () => ((await newest()) > before ? true : undefined))
      const gone = new Promise((resolve) => agent.once('exit', resolve))
      agent.kill('SIGTERM')
      await gone
      expect(told, `${home} was heard`).toBe(true)
    },
    play: async (machine) => {
      const block = blocks[played++]
      expect(block?.machine, `block ${played} of ${page}`).toBe(machine)
      return works(machine, read(block?.text ?? ''))
    },
    end: () => expect(played, `blocks of ${page} that were typed`).toBe(blocks.length),
  }
}

/** How a machine becomes a host here. */
export function enrolment(name: string, tokenFile = 'enroll.token'): string {
  const where = '--server https://updates.example --trust-root root.json --channel alpha --service-control none'
  return `netlink agent enroll ${where} --token-file ${tokenFile} --name ${name}`
}

/** What the server's log says went wrong, for whoever reads why a rehearsal failed. */
async function troublesOf(folder: string): Promise<string> {
  const log = await readFile(join(folder, 'server.log'), 'utf8')
  return log
    .split('\n')
    .filter((line) => line.includes('"error"'))
    .slice(-5)
    .join('\n')
}

/** Flags that sign as these holders. */
export function signersOf(names: readonly string[]): string {
  return names.map((name) => `--signer ${name} --passphrase-file ${name}=${name}.pass`).join(' ')
}

async function blocksOf(page: string): Promise<Block[]> {
  const text = await readFile(join(PAGES, `${page}.md`), 'utf8')
  return [...text.matchAll(/^ *```sh (server|publisher|admin|host)\n([\s\S]*?)^ *```$/gm)].map(
    ([, machine, block]) => ({
      machine: machine as Machine,
      text: block ?? '',
    }),
  )
}

/** The programs by their names, passphrases, and what is released. */
async function furnish(folder: string): Promise<void> {
  await chmod(folder, 0o700)
  await mkdir(join(folder, 'bin'))
  for (const [name, bin] of Object.entries(BINS)) {
    const words = [process.execPath, ...NODE_FLAGS, join(root, bin)].map((word) => `'${word}'`).join(' ')
    await writeFile(join(folder, 'bin', name), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 })
  }
  for (const name of HOLDERS) await writeFile(join(folder, `${name}.pass`), `${name}'s passphrase\n`, { mode: 0o600 })
  for (const app of ['app-v1', 'app-v2']) {
    await cp(join(root, 'docs', 'examples', app), join(folder, app), { recursive: true })
    const file = join(folder, app, 'release.json')
    // Whether a service comes up is not what a runbook is about.
    const { service: _, ...release } = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify(release))
  }
}

/** In this process, because keyrings are then made with a work factor that a test can afford. */
export async function initPublisher(folder: string, dir: string, server: string): Promise<void> {
  const told: string[] = []
  const machine = {
    disk: nodeDisk,
    clock: systemClock,
    cwd: folder,
    environment: readEnvironment({}),
    userAgent: 'netlink-publish/test',
    signal: new AbortController().signal,
    ask: undefined,
    scryptLogN: 10,
  }
  const note = (text: string) => void told.push(text)
  const passphrases = HOLDERS.flatMap((name) => ['--passphrase-file', `${name}=${name}.pass`])
  const status = await runProgram(
    [
      ...['init', '--dir', dir, '--product', 'demo', '--server', server, '--threshold', '2'],
      ...['--token-file', 'srv/secrets/publish.token', ...passphrases],
    ],
    machine,
    { stdout: note, stderr: note, columns: null, color: false },
    '0.0.0',
  )
  expect(status, told.join('')).toBe(0)
}

function shell(folder: string, text: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      'bash',
      ['-c', `set -e\n${text}`],
      { cwd: folder, env, timeout: 120_000, maxBuffer: 16 << 20 },
      (_error, stdout, stderr) => resolve({ status: child.exitCode ?? 1, stdout, stderr }),
    )
  })
}
