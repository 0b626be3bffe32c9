// What the demo prints: numbered steps, the commands as one would type them, what came of each. Reads well at 80 columns, on a terminal
// and through a pipe.
import { styleText } from 'node:util'

const WIDTH = 80
let steps = 0
let broken = 0
const startedAt = performance.now()

type Style = Parameters<typeof styleText>[0]

function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout, validateStream: true })
}

/** The headline. */
export function headline(title: string, lines: readonly string[]): void {
  console.log(paint('bold', title))
  for (const line of lines) console.log(paint('dim', line))
}

/** A numbered step and how far into the demo it is. */
export function step(title: string): void {
  steps += 1
  const time = `${((performance.now() - startedAt) / 1000).toFixed(0)} s`
  const head = `${steps}  ${title}`
  console.log(`\n${paint('bold', head)}${paint('dim', time.padStart(Math.max(1, WIDTH - head.length)))}`)
}

/** A command that is run, as it would be typed. Folds at 80 columns like a shell would. */
export function shown(command: string): void {
  const [first = '', ...rest] = wrap(command, WIDTH - 7)
  console.log(paint('cyan', [`   $ ${first}`, ...rest.map((line) => `       ${line}`)].join(' \\\n')))
}

/** Output of a command. Long lines are folded, or cut at the edge as a table's on a terminal. */
export function quoted(text: string, long: 'fold' | 'cut' = 'fold'): void {
  for (const line of text.trimEnd().split('\n')) {
    if (long === 'cut') console.log(paint('dim', line.length > WIDTH ? `${line.slice(0, WIDTH - 1)}…` : line))
    else for (const part of wrap(line, WIDTH - 5)) console.log(paint('dim', `     ${part}`))
  }
}

/** An expectation: held or broken. A broken one makes the demo fail. */
export function expectation(words: string, held: boolean, detail = ''): void {
  if (!held) broken += 1
  const mark = held ? paint('green', '✓') : paint('red', '✗')
  const [first = '', ...rest] = wrap(words, WIDTH - 5)
  console.log([`   ${mark} ${first}`, ...rest.map((line) => `     ${line}`)].join('\n'))
  if (!held && detail) quoted(detail)
}

/** How many expectations did not hold, and the time since the start in seconds. */
export function outcome(): { broken: number; seconds: number } {
  return { broken, seconds: (performance.now() - startedAt) / 1000 }
}

function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text]
  const at = text.lastIndexOf(' ', width)
  if (at <= 0 || text.slice(0, at).trim() === '') return [text]
  return [text.slice(0, at), ...wrap(text.slice(at + 1), width)]
}
