// netlink update log: logs/update.log, whole or of one update.
import { open } from 'node:fs/promises'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly updateId?: string
  readonly follow?: boolean
  readonly lines?: string
}

const DEFAULT_LINES = 200
const POLL_MS = 300
const MAX_TAIL_BYTES = 4 << 20

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  const { machine, output } = context
  const limit = parseLines(options.lines)
  const file = machine.paths.updateLog
  const wanted = (line: string) => line !== '' && (options.updateId === undefined || line.includes(options.updateId))
  let { text, end } = await readFrom(file, 0)
  const lines = text.split('\n').filter(wanted).slice(-limit)
  if (output.json && !options.follow) output.document('netlink.update.log/v1', { lines })
  const tell = (line: string) => {
    if (output.json) output.event({ type: 'log', level: 'info', message: line })
    else output.print(plainLine(line))
  }
  if (!output.json || options.follow) lines.forEach(tell)
  if (lines.length === 0 && !options.follow && !output.json) output.note('there is nothing in the log')
  while (options.follow && !context.signal.aborted) {
    await machine.clock.sleep(POLL_MS, context.signal).catch(() => undefined)
    ;({ text, end } = await readFrom(file, end))
    text.split('\n').filter(wanted).forEach(tell)
  }
  return EXIT.ok
}

/** What lies behind `start`; from the beginning again if the file was rotated. Nothing there is fine. */
async function readFrom(file: string, start: number): Promise<{ text: string; end: number }> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!handle) return { text: '', end: 0 }
  try {
    const { size } = await handle.stat()
    const from = Math.max(size < start ? 0 : start, size - MAX_TAIL_BYTES)
    const room = Buffer.alloc(size - from)
    const { bytesRead } = await handle.read(room, 0, room.length, from)
    // Half a line is left for the next look.
    const whole = room.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
    return { text: room.subarray(0, whole).toString('utf8'), end: from + whole }
  } finally {
    await handle.close()
  }
}

function parseLines(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LINES
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new ShapeError('--lines', [{ pointer: '', message: 'expected a number from 1' }])
}
