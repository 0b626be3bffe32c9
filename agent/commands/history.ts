// netlink update history: what the journals say, newest first.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { renderTable } from '../../schema/cli/table.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { loadHistory, type PastUpdate } from '../history.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly limit?: string
  readonly since?: string
  readonly failed?: boolean
}

const DEFAULT_LIMIT = 20
const FAILED: readonly string[] = ['failed', 'reverted', 'stranded', 'timed_out']

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  const limit = parseLimit(options.limit)
  const since = parseSince(options.since)
  const { updates, damaged } = await loadHistory(machine.disk, machine.paths)
  const chosen = updates
    .filter((update) => since === null || new Date(update.started_at) >= since)
    .filter((update) => !options.failed || FAILED.includes(update.state))
    .slice(0, limit)
  output.document('netlink.update.history/v1', { history: chosen, damaged })
  for (const id of damaged) output.note(`warning: ${id} can't be read`)
  if (chosen.length === 0) output.print('nothing was updated on this host yet')
  else output.print(renderTable(COLUMNS, chosen.map(rowOf), output))
  return EXIT.ok
}

const COLUMNS = [
  { title: 'WHEN' },
  { title: 'KIND' },
  { title: 'FROM' },
  { title: 'TO' },
  { title: 'STATE' },
  { title: 'UPDATE' },
  { title: 'REASON', shrinkTo: 20 },
]

function rowOf(update: PastUpdate): string[] {
  const reason = update.code === null ? '' : `${update.code}: ${update.reason ?? ''}`
  return [update.started_at, update.kind, update.from ?? 'none', update.to, update.state, update.update_id, reason]
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new ShapeError('--limit', [{ pointer: '', message: `expected a number from 1, found ${JSON.stringify(text)}` }])
}

function parseSince(text: string | undefined): Date | null {
  if (text === undefined) return null
  const date = new Date(text)
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(date.getTime())) return date
  throw new ShapeError('--since', [
    { pointer: '', message: `expected a day such as 2026-11-01, found ${JSON.stringify(text)}` },
  ])
}
