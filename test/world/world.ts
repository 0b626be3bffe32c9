// A whole small world below one folder: a server, a repository with its keys, hosts. Server and hosts are real processes on free
// ports; the publisher's command line runs in this one.
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../services/free-port.ts'
import { makeHost, onHost, type WorldHost } from './host.ts'
import { type Outcome, run, start, until } from './programs.ts'
import { publishHere } from './publisher-here.ts'

export interface World {
  readonly folder: string
  readonly server: string
  /** Runs `netlink-publish` on this world's publisher folder, in this process. */
  publish(args: readonly string[]): Promise<Outcome>
  /** Runs `netlink-admin` with the admin token. */
  admin(args: readonly string[]): Promise<Outcome>
  /** Makes a host and enrols it; its service gets a free port. */
  enrol(name: string, channel: WorldHost['channel']): Promise<WorldHost>
  /** Starts the server again after it was stopped or killed. */
  serve(): Promise<ReturnType<typeof start>>
}

export interface WorldOptions {
  readonly product?: string
  /** Makes a server below `folder` in `srv` and serves it on this port; as processes unless said otherwise. */
  readonly beginServer?: (folder: string, port: number) => Promise<unknown>
}

/** Builds the world: server initialised and serving, keys made (one holder, threshold 1), root accepted. */
export async function buildWorld(folder: string, options: WorldOptions = {}): Promise<World> {
  const port = await freePorts(1)
  const server = `http://127.0.0.1:${port}`
  const product = options.product ?? 'world'
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  await writeFile(join(folder, 'pass'), 'a passphrase for tests\n', { mode: 0o600 })

  const serve = async () => {
    const child = start(
      folder,
      'netlink-server',
      ['serve', '--dir', 'srv', '--listen', `127.0.0.1:${port}`],
      'server.log',
    )
    const ready = await until(30, async () => ((await fetch(`${server}/readyz`)).ok ? true : undefined))
    if (!ready) throw new Error(`the server did not come up; see ${folder}/server.log`)
    return child
  }
  const publisher = ['--dir', 'pub', '--passphrase-file', 'pass']
  if (options.beginServer) await options.beginServer(folder, port)
  else {
    expectDone(await run(folder, 'netlink-server', ['init', '--dir', 'srv']))
    await serve()
  }
  const init = [
    'init',
    '--product',
    product,
    '--server',
    server,
    '--token-file',
    'srv/secrets/publish.token',
    ...publisher,
  ]
  expectDone(await publishHere(folder, init))
  expectDone(
    await run(folder, 'netlink-server', [
      'enroll-token',
      'create',
      '--dir',
      'srv',
      '--uses',
      '1000',
      '--out',
      'enroll.token',
    ]),
  )

  return {
    folder,
    server,
    serve,
    publish: (args) => publishHere(folder, [...args, ...publisher]),
    admin: (args) =>
      run(folder, 'netlink-admin', [...args, '--server', server, '--token-file', 'srv/secrets/admin.token']),
    enrol: async (name, channel) => {
      const host = await makeHost(folder, name, channel, await freePorts(1))
      const trust = ['--token-file', 'enroll.token', '--trust-root', 'pub/root.json']
      expectDone(
        await onHost(folder, host, [
          'agent',
          'enroll',
          '--server',
          server,
          ...trust,
          '--channel',
          channel,
          '--name',
          name,
        ]),
      )
      return host
    },
  }
}

/** The outcome of a command that must have worked; throws with what it said otherwise. */
export function expectDone(outcome: Outcome): Outcome {
  if (outcome.status !== 0) throw new Error(`exit ${outcome.status}\n${outcome.stdout}${outcome.stderr}`)
  return outcome
}
