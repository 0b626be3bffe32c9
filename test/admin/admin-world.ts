// A server on a port with two releases and two hosts, and netlink-admin beside it: in this process, or as one of its own.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HttpWorld, inventoryReport } from '../server-http/world.ts'
import { freePorts } from '../services/free-port.ts'
import type { Outcome } from '../world/programs.ts'
import { adminHere } from './admin-here.ts'

export const adminBin = join(import.meta.dirname, '..', '..', 'server', 'admin', 'bin.cjs')

export interface AdminWorld {
  readonly world: HttpWorld
  readonly server: string
  readonly tokenFile: string
  /** Where nobody listens. */
  readonly nobody: string
  /** The whole command line, in this process. */
  admin(args: readonly string[], env?: Record<string, string>): Promise<Outcome>
  /** With server and token given as flags. */
  asked(...args: string[]): Promise<Outcome>
}

/** Whoever asks disposes of its `world`. */
export async function openAdminWorld(): Promise<AdminWorld> {
  const world = await HttpWorld.create()
  await world.publishRoot()
  await world.publishRelease('0a1')
  await world.publishRelease('0r2')
  for (const [name, version, waiting] of [
    ['web-1', '0a1', 'window_closed'],
    ['web-2', '0r2', null],
  ] as const) {
    const host = await world.enrol(name)
    await world.core.reports.ingest(
      host.known,
      await host.reports([inventoryReport(1, { version, waiting, service: 'healthy' })]),
    )
  }
  const server = (await world.listen()).url
  const nobody = `http://127.0.0.1:${await freePorts(1)}`
  const tokenFile = join(world.folder, 'admin.token')
  await writeFile(tokenFile, `${world.tokens.admin}\n`, { mode: 0o600 })
  const admin = (args: readonly string[], env: Record<string, string> = {}) => adminHere(world.folder, args, env)
  const asked = (...args: string[]) => admin([...args, '--server', server, '--token-file', tokenFile])
  return { world, server, tokenFile, nobody, admin, asked }
}

/** The command line as a process of its own. */
export function adminProcess(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [adminBin, ...args],
      { env: { PATH: process.env.PATH, NO_COLOR: '', ...env }, timeout: 30_000 },
      (_, stdout, stderr) => resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}
