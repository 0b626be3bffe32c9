// A real PostgreSQL server in a folder, on a free loopback port, for the contract suites. The server refuses to run as root: then it runs
// as the user `postgres` that Debian's package makes.
import { readdirSync } from 'node:fs'
import { chmod, chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from './free-port.ts'
import { run, startServer, stopServer, until } from './process.ts'

export interface PostgresServer {
  readonly url: string
  stop(): Promise<void>
}

/** The newest server that Debian's packages installed, undefined if there is none. */
export function findPostgres(): string | undefined {
  try {
    const versions = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a))
    return versions[0] && join('/usr/lib/postgresql', versions[0], 'bin')
  } catch {
    return undefined
  }
}

/** Makes a cluster below `folder` and starts it. */
export async function startPostgres(bin: string, folder: string): Promise<PostgresServer> {
  const data = join(folder, 'data')
  const owner = await ownerOf()
  await mkdir(data, { recursive: true })
  if (owner) {
    await chmod(folder, 0o755)
    await chown(data, owner.uid, owner.gid)
  }
  const port = await freePorts(1)
  const drop = owner ? ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'] : ['env']
  const [command = 'env', ...prefix] = drop
  await run(
    command,
    [...prefix, join(bin, 'initdb'), '-D', data, '-U', 'netlink', '-A', 'trust', '--no-locale', '-E', 'UTF8'],
    { cwd: '/' },
  )
  const server = startServer(
    command,
    [
      ...prefix,
      join(bin, 'postgres'),
      '-D',
      data,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `unix_socket_directories=${data}`,
    ],
    join(folder, 'postgres.log'),
  )
  await until('PostgreSQL', () => run(join(bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)]))
  await run(join(bin, 'createdb'), ['-h', '127.0.0.1', '-p', String(port), '-U', 'netlink', 'netlink'], { cwd: '/' })
  return { url: `postgres://netlink@127.0.0.1:${port}/netlink`, stop: () => stopServer(server, 'SIGINT') }
}

async function ownerOf(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)),
  )
  return uid && gid ? { uid, gid } : undefined
}
