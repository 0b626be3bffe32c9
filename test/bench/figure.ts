// A figure is ours against a peer or a limit measured in the same run, several times; the median counts.

export interface Figure {
  readonly what: string
  readonly ours: string
  readonly peer: string
  readonly ratio: string
  readonly goal: string
  readonly held: boolean
}

/** Median of at least one number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}

/** The value that `share` (0 to 1) of all values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Milliseconds of one run. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Milliseconds in words: `82 ms`, `1.52 s`. */
export function inWords(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
}

/** Prints one figure as it comes, for a terminal of 80 columns. */
export function printFigure(figure: Figure): void {
  console.log(`${figure.held ? 'held  ' : 'MISSED'}  ${figure.what}`)
  console.log(`        ours ${figure.ours} · ${figure.peer} · ratio ${figure.ratio} · goal ${figure.goal}`)
}
