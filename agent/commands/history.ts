// netlink update history: what the journals say, newest first.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { renderTable } from '../../schema/cli/table.ts'
import { wrap } from '../../schema/cli/text-width.ts'
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
  else output.print(historyText(chosen, output))
  return EXIT.ok
}

const COLUMNS = [
  { title: 'WHEN' },
  { title: 'KIND' },
  { title: 'FROM' },
  { title: 'TO' },
  { title: 'STATE' },
  { title: 'UPDATE', shrinkTo: 12 },
]

/** A table. In a pipe each update is one whole line; on a terminal it keeps to the width, times to the minute and reasons below their updates. */
export function historyText(
  updates: readonly PastUpdate[],
  style: { readonly color: boolean; readonly width: number | null },
): string {
  const { width } = style
  if (width === null) {
    const rows = updates.map((update) => [...rowOf(update, update.started_at), reasonOf(update)])
    return renderTable([...COLUMNS, { title: 'REASON' }], rows, style)
  }
  const rows = updates.map((update) => rowOf(update, update.started_at.slice(0, 16).replace('T', ' ')))
  const [head = '', ...lines] = renderTable(COLUMNS, rows, style).trimEnd().split('\n')
  const below = (update: PastUpdate | undefined) => {
    const reason = update ? plainLine(reasonOf(update)) : ''
    return reason === '' ? [] : wrap(reason, width - INDENT.length).map((line) => INDENT + line)
  }
  return `${[head, ...lines.flatMap((line, index) => [line, ...below(updates[index])])].join('\n')}\n`
}

const INDENT = '    '

function rowOf(update: PastUpdate, when: string): string[] {
  return [when, update.kind, update.from ?? 'none', update.to, update.state, update.update_id]
}

function reasonOf(update: PastUpdate): string {
  return update.code === null ? '' : `${update.code}: ${update.reason ?? ''}`
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
