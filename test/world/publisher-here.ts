// `netlink-publish` in the test's own process: the whole command line, without its start and without the price of a real passphrase.
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { readEnvironment } from '../../publisher/config.ts'
import { runProgram } from '../../publisher/program.ts'
import type { Machine } from '../../publisher/workshop.ts'
import type { Outcome } from './programs.ts'

/** Runs it in `folder`. Keyrings are made with a work factor that a test can afford: the real one takes a second of computing and 256 MiB. */
export async function publishHere(
  folder: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  confirm?: Machine['confirm'],
): Promise<Outcome> {
  const machine: Machine = {
    disk: nodeDisk,
    clock: systemClock,
    cwd: folder,
    environment: readEnvironment(environment),
    userAgent: 'netlink-publish/test',
    signal: new AbortController().signal,
    ask: undefined,
    confirm,
    scryptLogN: 10,
  }
  const stdout: string[] = []
  const stderr: string[] = []
  const streams = {
    stdout: (text: string) => void stdout.push(text),
    stderr: (text: string) => void stderr.push(text),
    columns: null,
    color: false,
  }
  const status = await runProgram(args, machine, streams, '0.0.0')
  return { status, stdout: stdout.join(''), stderr: stderr.join('') }
}
