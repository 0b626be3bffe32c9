// `netlink`: hands the command line to program.ts, and keeps what is about the process: its signals, its streams, its status.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { runProgram } from './program.ts'

// Pieces of files are let go only when the young generation is full of small objects: with V8's 16 MiB of it an update peaks some 25 MB higher than with one.
for (const flag of ['--max-semi-space-size=1', '--semi-space-growth-factor=1']) setFlagsFromString(flag)

const stop = new AbortController()
let stoppedBy: 'SIGINT' | 'SIGTERM' | null = null

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one does not wait: the journal knows how to go on.
    if (stoppedBy !== null) process.exit(exitOfSignal(signal))
    stoppedBy = signal
    stop.abort(new Error(`stopped by ${signal}`))
  })
}
// Whoever reads us may stop reading, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.ok)
  throw error
})

const { env, platform, arch, stdin, stdout, stderr } = process
process.exitCode = await runProgram(process.argv.slice(2), {
  ...{ env, platform, arch, stdin, stdout, stderr },
  cwd: () => process.cwd(),
  random: Math.random,
  signal: stop.signal,
  stoppedBy: () => stoppedBy,
  become,
  runBeside,
})
if (stoppedBy !== null && process.exitCode !== EXIT.ok) process.exitCode = exitOfSignal(stoppedBy)

function become(entry: URL, nodeFlags: readonly string[]): never {
  const { execve } = process
  if (!execve) throw new Error('this Node can’t replace its process')
  return execve.call(process, process.execPath, [process.execPath, ...nodeFlags, fileURLToPath(entry)], process.env)
}

function runBeside(program: string, words: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: 'inherit' })
    child.once('exit', resolve)
    child.once('error', reject)
  })
}

function exitOfSignal(signal: 'SIGINT' | 'SIGTERM'): ExitCode {
  return signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
}
