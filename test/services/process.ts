import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

export const run = promisify(execFile)

/** Starts a server program with its output in a file. It dies with `stop`. */
export function startServer(
  command: string,
  args: readonly string[],
  log: string,
  env: NodeJS.ProcessEnv = process.env,
): ChildProcess {
  const output = openSync(log, 'a')
  return spawn(command, args, { stdio: ['ignore', output, output], env })
}

/** Ends a server program and waits until it is gone. */
export async function stopServer(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(late)
}

/** Asks again until the answer comes or 20 seconds have passed. */
export async function until(what: string, ask: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + 20_000
  let last: unknown
  while (performance.now() < end) {
    try {
      return void (await ask())
    } catch (error) {
      last = error
      await pause(100)
    }
  }
  throw new Error(`${what} did not come up in 20 s`, { cause: last })
}

/** Whether a program of that name can be started here. */
export async function hasProgram(name: string): Promise<boolean> {
  return run('sh', ['-c', `command -v ${name}`]).then(
    () => true,
    () => false,
  )
}
