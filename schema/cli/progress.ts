import { formatBytes, formatDuration } from './format.ts'
import { createPaint } from './paint.ts'
import { plainLine } from './plain-text.ts'
import { displayWidth, pad, truncate } from './text-width.ts'

export interface Progress {
  readonly label: string
  readonly done: number
  /** null while it is not known. */
  readonly total: number | null
  readonly unit: 'bytes' | 'items'
  /** Per second, null while it is not known. */
  readonly rate: number | null
}

const LABEL_WIDTH = 12
const MAX_BAR = 24
const MIN_BAR = 8

/**
 * One line for a terminal, to be written over the last one: `download      ████████░░░░░░░░  52%  7.4 MB of 14.2 MB  3.1 MB/s  2.2s left`.
 * Never wider than `width`; what fits least goes first: the bar, the rest of the time, the rate.
 */
export function renderProgress(progress: Progress, style: { readonly color: boolean; readonly width: number }): string {
  const paint = createPaint(style.color)
  const label = pad(truncate(plainLine(progress.label), LABEL_WIDTH), LABEL_WIDTH)
  const facts = factsOf(progress)
  const lengthOf = (parts: readonly string[]) =>
    LABEL_WIDTH + parts.reduce((sum, part) => sum + 2 + displayWidth(part), 0)
  while (facts.length > 1 && lengthOf(facts) > style.width) facts.pop()
  const barWidth = Math.min(MAX_BAR, style.width - lengthOf(facts) - 2)
  const bar =
    progress.total === null || barWidth < MIN_BAR
      ? []
      : [paint('good', barOf(progress.done / Math.max(1, progress.total), barWidth))]
  const line = [label, ...bar, ...facts].join('  ')
  return lengthOf(facts) > style.width ? truncate(`${label}  ${facts.join('  ')}`, style.width) : line
}

function factsOf({ done, total, unit, rate }: Progress): string[] {
  const amount = (value: number) => (unit === 'bytes' ? formatBytes(value) : String(Math.floor(value)))
  const facts =
    total === null
      ? [amount(done)]
      : [`${String(percentOf(done, total)).padStart(3)}%`, `${amount(done)} of ${amount(total)}`]
  if (rate !== null && rate > 0) {
    facts.push(`${amount(rate)}/s`)
    if (total !== null && done < total) facts.push(`${formatDuration(((total - done) / rate) * 1_000)} left`)
  }
  return facts
}

/** 100 only when everything is there. */
function percentOf(done: number, total: number): number {
  return total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100))
}

function barOf(share: number, width: number): string {
  const full = Math.min(width, Math.max(0, Math.floor(share * width)))
  return '█'.repeat(full) + '░'.repeat(width - full)
}
