// The four programs as real processes, everything below one folder.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const root = join(import.meta.dirname, '..', '..')

const BINS = {
  netlink: join(root, 'agent', 'bin.cjs'),
  'netlink-publish': join(root, 'publisher', 'bin.cjs'),
  'netlink-server': join(root, 'server', 'bin.cjs'),
  'netlink-admin': join(root, 'server', 'admin', 'bin.cjs'),
} as const

/**
 * For processes that end at once: an embedded database is not worth compiling well (it takes half a second on both cores), and nothing is worth
 * collecting early.
 */
export const NODE_FLAGS = ['--liftoff-only', '--min-semi-space-size=16']

export type Program = keyof typeof BINS

export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Long-running processes, to be stopped at the end whatever happens. */
const running = new Set<ChildProcess>()

/** Runs a command to its end. */
export function run(
  folder: string,
  program: Program,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...NODE_FLAGS, BINS[program], ...args],
      { cwd: folder, env: { ...process.env, NO_COLOR: '1', ...env }, maxBuffer: 16 * 1024 * 1024, timeout: 60_000 },
      (_error, stdout, stderr) => resolve({ status: child.exitCode ?? 1, stdout, stderr }),
    )
  })
}

/** Starts a program that goes on, its output in a file. In a process group of its own, so that a kill takes its helpers along. */
export function start(
  folder: string,
  program: Program,
  args: readonly string[],
  log: string,
  env: Record<string, string> = {},
): ChildProcess {
  const output = openSync(join(folder, log), 'a')
  const child = spawn(process.execPath, [...NODE_FLAGS, BINS[program], ...args], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', output, output],
    detached: true,
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** `kill -9` for a program and everything in its process group. */
export function killHard(child: ChildProcess): void {
  if (child.pid) process.kill(-child.pid, 'SIGKILL')
}

/** Stops what still runs, politely first. */
export async function stopAll(): Promise<void> {
  const children = [...running]
  for (const child of children) child.kill('SIGTERM')
  const gone = Promise.all(
    children.map((child) =>
      child.exitCode === null ? new Promise((resolve) => child.once('exit', resolve)) : undefined,
    ),
  )
  await Promise.race([gone, pause(8_000)])
  for (const child of running) killHard(child)
}

/** Asks until the answer is there, at most `seconds`. Undefined if it never came. */
export async function until<T>(
  seconds: number,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T | undefined> {
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const answer = await Promise.resolve()
      .then(ask)
      .catch(() => undefined)
    if (answer !== undefined) return answer
    await pause(50)
  }
  return undefined
}
