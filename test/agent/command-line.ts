// `netlink` as the whole command line without the start of a process. What is about a process (signals, rights, two at once) takes a real one.
import { Readable, Writable } from 'node:stream'
import { runProgram, type Surroundings } from '../../agent/program.ts'
import type { Outcome } from '../world/programs.ts'

/** Runs one command line to its end, in this folder and with these variables, where there is no terminal. */
export async function runHere(cwd: string, env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Outcome> {
  const stdout = buildSink()
  const stderr = buildSink()
  const around: Surroundings = {
    env,
    platform: process.platform,
    arch: process.arch,
    cwd: () => cwd,
    stdin: Readable.from([]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    // The shortest of every pause that is drawn by lot.
    random: () => 0,
    signal: new AbortController().signal,
    stoppedBy: () => null,
    become: (entry) => {
      throw new Error(`only a process can become ${entry}`)
    },
    runBeside: (program) => Promise.reject(new Error(`${program} needs a terminal to share`)),
  }
  const status = await runProgram(args, around)
  return { status, stdout: stdout.text(), stderr: stderr.text() }
}

function buildSink(): { readonly stream: Writable; text(): string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') }
}
