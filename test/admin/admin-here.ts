// `netlink-admin` as the whole command line without the start of a process.
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runAdmin } from '../../server/admin/program.ts'
import type { Outcome } from '../world/programs.ts'

/** Runs one command line to its end, in this folder and with these variables. Certificates of one's own (`--ca`) take a process: they are believed by all of it. */
export async function adminHere(
  folder: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<Outcome> {
  const stdout: string[] = []
  const stderr: string[] = []
  const { signal } = new AbortController()
  const deps = {
    argv,
    environment,
    stdout: (text: string) => void stdout.push(text),
    stderr: (text: string) => void stderr.push(text),
    columns: null,
    readFile: (path: string) => readFile(resolve(folder, path), 'utf8'),
    fileMode: async (path: string) => (await stat(resolve(folder, path))).mode & 0o777,
    now: () => new Date(),
    sleep: (ms: number) => sleep(ms),
    signal,
    trustCa: () => {
      throw new Error('this process believes the certificates that it believes')
    },
    fetch: globalThis.fetch,
  }
  const status = await runAdmin(deps, '0.0.0')
  return { status, stdout: stdout.join(''), stderr: stderr.join('') }
}
