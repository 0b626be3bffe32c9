// Colour, in one place. Everything that prints takes a Paint; plain text is the same Paint with nothing in it.

/** What a piece of text means; the colour follows from it. */
export type Meaning = 'error' | 'warning' | 'good' | 'strong' | 'dim' | 'command'
export type Paint = (meaning: Meaning, text: string) => string

const codes: Readonly<Record<Meaning, readonly [open: number, close: number]>> = {
  error: [31, 39],
  warning: [33, 39],
  good: [32, 39],
  strong: [1, 22],
  dim: [2, 22],
  command: [36, 39],
}

/** The paint of a stream that shows colour, or of one that does not. */
export function createPaint(color: boolean): Paint {
  if (!color) return (_meaning, text) => text
  return (meaning, text) => {
    const [open, close] = codes[meaning]
    return text === '' ? '' : `\u001b[${open}m${text}\u001b[${close}m`
  }
}

/** Whether to use colour: not where `--no-color` or a non-empty NO_COLOR says so (no-color.org), else on terminals that can. */
export function decideColor(facts: {
  readonly isTerminal: boolean
  readonly noColorFlag: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
}): boolean {
  const { NO_COLOR, TERM } = facts.environment
  if (facts.noColorFlag || (NO_COLOR !== undefined && NO_COLOR !== '')) return false
  return facts.isTerminal && TERM !== 'dumb'
}
