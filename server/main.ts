// `netlink-server`: what only the process knows, handed to program.ts.
import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { systemClock } from '../keys/platform/clock.ts'
import { nodeDisk } from '../keys/platform/disk.ts'
import { decideColor } from '../schema/cli/paint.ts'
import type { Machine } from './commands/context.ts'
import { runProgram } from './program.ts'
import { readVersion } from './version.ts'

const words = process.argv.slice(2)
const user = userInfo()
const machine: Machine = {
  disk: nodeDisk,
  clock: systemClock,
  random: randomBytes,
  openEmbeddedDb: async (options) => (await import('./store/embedded-db.ts')).openEmbeddedDb(options),
  environment: process.env,
  user: { name: user.username, uid: user.uid },
  pid: process.pid,
  version: await readVersion(nodeDisk),
  runtimeRoot: process.env.XDG_RUNTIME_DIR ?? '/tmp',
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  color: decideColor({
    isTerminal: process.stdout.isTTY === true,
    noColorFlag: words.includes('--no-color'),
    environment: process.env,
  }),
  columns: process.stderr.isTTY ? process.stderr.columns : null,
  onSignal: (listener) => {
    process.on('SIGTERM', () => listener('SIGTERM'))
    process.on('SIGINT', () => listener('SIGINT'))
  },
  exit: (code) => process.exit(code),
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    // Whoever reads may stop, as `head` does; only a server goes on without anybody to read what it says.
    if (!words.includes('serve')) process.exit()
  })
}
process.exitCode = await runProgram(words, machine)
