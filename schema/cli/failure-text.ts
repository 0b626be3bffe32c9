import { errorTopic } from './error-topics.ts'
import type { FailureFacts } from './failure.ts'
import { createPaint } from './paint.ts'
import { plainLine, plainText } from './plain-text.ts'
import { displayWidth, wrap } from './text-width.ts'

/** How it is shown. `width` in columns; null where nothing is to be wrapped, as in a pipe. */
export interface FailureStyle {
  readonly color: boolean
  readonly width: number | null
}

/**
 * What a command line prints when it fails: what failed, why, what state things are in now, what to run next.
 *
 *     error E-SIG-THRESHOLD: release 0r2 has 1 valid signature, 2 are needed.
 *       have: release-1 (key 7c1e…)   missing one of: release-2, release-3
 *       Nothing was changed; this host stays on 0r1.
 *       Next: netlink-publish publish 0r2 --signer release-2 --passphrase-file release-2=FILE
 *       More: netlink help E-SIG-THRESHOLD                               (exit 7)
 *
 * Commands are never wrapped: they are there to be copied. What is said about one in brackets, three spaces behind it, stands below it where both are too wide.
 */
export function renderFailure(facts: FailureFacts, { color, width }: FailureStyle): string {
  const paint = createPaint(color)
  const code = plainLine(facts.code)
  const [title = '', ...rest] = wrapped(sentence(`error ${code}: ${plainLine(facts.title)}`), width, 0)
  const head = title.startsWith(`error ${code}:`)
    ? `${paint('error', 'error')} ${paint('strong', code)}${title.slice(`error ${code}`.length)}`
    : title
  const lines = [
    head,
    ...rest.map(indent),
    ...wrapped(plainText(facts.detail).trim(), width, 2).map(indent),
    ...wrapped(sentence(plainText(facts.state).trim()), width, 2).map(indent),
    ...facts.next.flatMap((command, index) => {
      const [whole = '', ...said] = commandLines(oneLine(command), width)
      return [
        `  ${index === 0 ? 'Next:' : '     '} ${paint('command', whole)}`,
        ...said.map((line) => BEHIND_NEXT + line),
      ]
    }),
    moreLine(code, facts.exit, width),
  ]
  return `${lines.filter((line) => line.trim() !== '').join('\n')}\n`
}

const BEHIND_NEXT = ' '.repeat('  Next:   '.length)

/** The command, and below it what is said about it. */
function commandLines(text: string, width: number | null): string[] {
  const at = text.search(/ {3,}\(/)
  if (width === null || at < 0 || BEHIND_NEXT.length - 2 + displayWidth(text) <= width) return [text]
  return [text.slice(0, at), ...wrapped(text.slice(at).trim(), width, BEHIND_NEXT.length)]
}

function wrapped(text: string, width: number | null, margin: number): string[] {
  return width === null ? text.split('\n') : wrap(text, Math.max(20, width - margin))
}

function indent(line: string): string {
  return `  ${line}`
}

function sentence(text: string): string {
  return text === '' || /[.!?…:]$/.test(text) ? text : `${text}.`
}

/** Like plainLine, but spaces inside a command stay as they are: they may stand in quotes. */
function oneLine(command: string): string {
  return plainText(command).replaceAll('\n', ' ').trim()
}

function moreLine(code: string, exit: number, width: number | null): string {
  const right = `(exit ${exit})`
  if (errorTopic(code) === undefined) return `  ${right}`
  const left = `  More: netlink help ${code}`
  const gap = Math.max(3, (width ?? 0) - displayWidth(left) - displayWidth(right))
  return `${left}${' '.repeat(gap)}${right}`
}
