import { createPaint } from './paint.ts'
import { plainLine } from './plain-text.ts'
import { displayWidth, pad, truncate } from './text-width.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Whether the column may be cut to fit the width, and to how many columns at least. Others are always whole. */
  readonly shrinkTo?: number
}

const GAP = '  '

/**
 * Rows under their titles, columns two spaces apart, nothing at the end of lines. With a `width` the columns that may shrink are cut, the widest first;
 * without one (null, as in a pipe) every cell is whole, so that other programs can read it. No rows, no text.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: { readonly color: boolean; readonly width: number | null },
): string {
  if (rows.length === 0) return ''
  const paint = createPaint(style.color)
  const cells = rows.map((row) => columns.map((_, index) => plainLine(row[index] ?? '')))
  const natural = columns.map(({ title }, index) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[index] ?? ''))),
  )
  const widths = style.width === null ? natural : shrink(columns, natural, style.width)
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => pad(truncate(cell, widths[index] ?? 0), widths[index] ?? 0, columns[index]?.align))
      .join(GAP)
      .trimEnd()
  const head = paint('dim', line(columns.map(({ title }) => title)))
  return `${[head, ...cells.map(line)].join('\n')}\n`
}

/** Takes one column at a time from the widest that may still give. */
function shrink(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural]
  const available = width - GAP.length * (columns.length - 1)
  for (let excess = widths.reduce((sum, one) => sum + one, 0) - available; excess > 0; excess--) {
    const widest = columns.reduce<number | undefined>((best, { shrinkTo }, index) => {
      const mayGive = shrinkTo !== undefined && (widths[index] ?? 0) > shrinkTo
      return mayGive && (best === undefined || (widths[index] ?? 0) > (widths[best] ?? 0)) ? index : best
    }, undefined)
    if (widest === undefined) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

/** Labels and values below each other, the values aligned. */
export function renderFields(
  fields: readonly (readonly [label: string, value: string])[],
  style: { readonly color: boolean },
): string {
  const paint = createPaint(style.color)
  const width = Math.max(0, ...fields.map(([label]) => displayWidth(label)))
  return fields
    .map(([label, value]) => `${paint('dim', pad(label, width))}${GAP}${plainLine(value)}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('')
}
