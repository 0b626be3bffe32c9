import { formatBytes } from '../../schema/cli/format.ts'
import { displayWidth, pad } from '../../schema/cli/text-width.ts'
import type { Plan } from '../engine/plan.ts'

/** Between the two columns. */
const GAP = '   '

/** The plan for people: its steps in two columns, numbered down the first one, then what is kept as it is. */
export function planText(
  plan: Plan,
  facts: { readonly host: string; readonly laterHops: readonly string[]; readonly warnings: readonly string[] },
): string {
  const head = `Plan  ${plan.from?.version ?? 'none'} → ${plan.to} on host ${facts.host}`
  const lines = plan.steps.map(
    ({ words, bytes }, index) =>
      `${String(index + 1).padStart(3)} ${words}${bytes === null ? '' : `  ${formatBytes(bytes)}`}`,
  )
  const half = Math.ceil(lines.length / 2)
  const left = lines.slice(0, half)
  const width = Math.max(0, ...left.map(displayWidth))
  const rows = left.map((line, index) => `${pad(line, width)}${GAP}${lines[half + index] ?? ''}`.trimEnd())
  const later =
    facts.laterHops.length > 0 ? [`  then ${facts.laterHops.join(', then ')}: each an update of its own`] : []
  return [
    head,
    ...rows,
    ...plan.kept.map((words) => `  ${words}`),
    ...later,
    ...facts.warnings.map((words) => `  warning: ${words}`),
  ].join('\n')
}
