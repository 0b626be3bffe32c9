// netlink-publish: the release engineer's program. Keys, archives, signed releases; everything it says is checked the way hosts check it.
//
//   init                     keys for each holder, the first root, handed to a server that has none
//   release V --from DIR     check, build, sign, verify, publish, read back
//   promote V --to beta      the same bytes for a more stable channel
//   yank V --reason R        withdraw
//   list, show, status, verify, keys, changelog, build, check, publish
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { systemClock } from '../keys/platform/clock.ts'
import { nodeDisk } from '../keys/platform/disk.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { decideColor } from '../schema/cli/paint.ts'
import { readEnvironment } from './config.ts'
import type { Streams } from './output.ts'
import { runProgram } from './program.ts'
import type { Machine } from './workshop.ts'

const version = readVersion()
const words = process.argv.slice(2)
const interrupted = listenForSignals()
// Whoever reads what is printed may stop, as `head` does: what is done goes on to its end, unheard.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}
process.exitCode = await runProgram(words, openMachine(interrupted), openStreams(words), version)

function openMachine(signal: AbortSignal): Machine {
  return {
    disk: nodeDisk,
    clock: systemClock,
    cwd: process.cwd(),
    environment: readEnvironment(process.env),
    userAgent: `netlink-publish/${version}`,
    signal,
    ask: process.stdin.isTTY && process.stderr.isTTY ? askHidden : undefined,
    confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : undefined,
  }
}

function openStreams(words: readonly string[]): Streams {
  const isTerminal = process.stderr.isTTY === true
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    // Some terminals say 0: they do not know.
    columns: isTerminal ? process.stderr.columns || 80 : null,
    color: decideColor({
      isTerminal: isTerminal && process.stdout.isTTY === true,
      noColorFlag: words.includes('--no-color'),
      environment: process.env,
    }),
  }
}

/** The first signal ends the running step and keeps what can be resumed; the second ends at once. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController()
  const codes = [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const
  for (const [signal, exit] of codes) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(exit)
      controller.abort(
        new Failure({
          code: 'E-INTERRUPTED',
          exit,
          title: `stopped by ${signal}`,
          detail: '',
          state: 'What was uploaded stays on the server, and what was signed stays in the folder.',
          next: ['netlink-publish status', 'netlink-publish publish VERSION'],
        }),
      )
    })
  }
  return controller.signal
}

/** Reads one line from the terminal without showing it. The terminal stops echoing before the question is asked: people type ahead. */
function askHidden(question: string): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true })
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      process.emit('SIGINT')
      lines.close()
    })
    lines.once('close', () => reject(interrupted.reason ?? new Error('nothing was typed')))
    lines.question('', (answer) => {
      process.stderr.write('\n')
      resolve(answer)
      lines.close()
    })
    process.stderr.write(question)
  })
}

/** Whether the person types yes. Everything else, and nothing at all, is a no. */
function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      process.emit('SIGINT')
      lines.close()
    })
    lines.once('close', () => (interrupted.aborted ? reject(interrupted.reason) : resolve(false)))
    lines.question(`${question} (y/N) `, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()))
      lines.close()
    })
  })
}

/** The version in this package's package.json, one folder up in a checkout and two in the built package. */
function readVersion(): string {
  for (const up of ['..', '../..']) {
    try {
      const { name, version: found } = JSON.parse(readFileSync(join(import.meta.dirname, up, 'package.json'), 'utf8'))
      if (name === 'netlink-update' && typeof found === 'string') return found
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  throw new Error('package.json of netlink-update is missing')
}
