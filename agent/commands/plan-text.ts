import { formatBytes } from '../../schema/cli/format.ts'
import { displayWidth, pad, wrap } from '../../schema/cli/text-width.ts'
import type { Plan } from '../engine/plan.ts'

/** Between the two columns. */
const GAP = '   '

/**
 * The plan for people: its steps in two columns, numbered down the first one, or in one where two are wider than the terminal; then what is kept as it is.
 * Without a width (null, as in a pipe) it is as wide as it is.
 */
export function planText(
  plan: Plan,
  facts: {
    readonly host: string
    readonly laterHops: readonly string[]
    readonly warnings: readonly string[]
    readonly width: number | null
  },
): string {
  const head = `Plan  ${plan.from?.version ?? 'none'} → ${plan.to} on host ${facts.host}`
  const lines = plan.steps.map(
    ({ words, bytes }, index) =>
      `${String(index + 1).padStart(3)} ${words}${bytes === null ? '' : `  ${formatBytes(bytes)}`}`,
  )
  const later =
    facts.laterHops.length > 0 ? [`  then ${facts.laterHops.join(', then ')}: each an update of its own`] : []
  const width = facts.width ?? Number.POSITIVE_INFINITY
  const words = [...plan.kept.map((kept) => `  ${kept}`), ...later, ...facts.warnings.map((one) => `  warning: ${one}`)]
  const rest = words.flatMap((line) => wrap(line.trim(), width - 2).map((part) => `  ${part}`))
  return [head, ...columnsOf(lines, width), ...rest].join('\n')
}

function columnsOf(lines: readonly string[], width: number): readonly string[] {
  const half = Math.ceil(lines.length / 2)
  const left = lines.slice(0, half)
  const first = Math.max(0, ...left.map(displayWidth))
  const rows = left.map((line, index) => `${pad(line, first)}${GAP}${lines[half + index] ?? ''}`.trimEnd())
  return rows.every((row) => displayWidth(row) <= width) ? rows : lines
}
