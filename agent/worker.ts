// A short-lived process of the daemon: one task, its lines, its end. `node worker.ts '{"task":"tick","flush":false}'`
import { EXIT } from '../schema/cli/exit-code.ts'
import { readCurrentVersion } from './current-version.ts'
import { explainError } from './explain.ts'
import { buildMachine } from './machine.ts'
import type { WorkerLine, WorkerTask } from './worker-protocol.ts'
import { performTask } from './worker-tasks.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)))
// The daemon may die before its worker: an update goes on to its end, whoever listens.
process.stdout.on('error', () => undefined)

// Written by our own daemon or command line.
const task: WorkerTask = JSON.parse(process.argv[2] ?? '{}')
const machine = buildMachine(process, Math.random, `netlink ${task.task}`)
const say = (line: WorkerLine) => process.stdout.write(`${JSON.stringify(line)}\n`)

try {
  say({ type: 'done', result: await performTask({ machine, signal: stop.signal, say }, task) })
} catch (error) {
  let installed: string | null | undefined
  try {
    installed = readCurrentVersion(machine.paths)
  } catch {
    installed = undefined // one error is enough
  }
  const failure = explainError(error, { installed, paths: machine.paths })
  say({ type: 'failed', failure })
  process.exitCode = failure.exit === EXIT.ok ? EXIT.unexpected : failure.exit
}
