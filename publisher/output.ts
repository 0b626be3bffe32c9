// What a command says: its answer on stdout, everything else on stderr; with --json one document, or for long operations one event a line.

import type { Clock } from '../keys/platform/clock.ts'
import { okEnvelope, renderEvent, renderJson, resultEvent } from '../schema/cli/envelope.ts'
import { createPaint, type Paint } from '../schema/cli/paint.ts'
import { plainLine } from '../schema/cli/plain-text.ts'
import { renderProgress } from '../schema/cli/progress.ts'
import { displayWidth } from '../schema/cli/text-width.ts'
import { visible } from './json-difference.ts'

/** The two streams and what is known about them. */
export interface Streams {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** Columns of the terminal behind stderr; null if there is none. */
  readonly columns: number | null
  readonly color: boolean
}

export interface OutputOptions {
  readonly streams: Streams
  readonly clock: Clock
  readonly json: boolean
  /** A long operation: with `json` its steps are told as they happen. */
  readonly events: boolean
  /** What is true where it failed before anything was done, as a whole sentence. */
  readonly untouched?: string
}

export interface Output {
  readonly json: boolean
  readonly paint: Paint
  /** What is true where the command failed and the error does not know better, as a whole sentence. */
  readonly untouched: string
  /** Whether a step has begun that leaves something behind: signed documents in the folder, bytes on the server. */
  hasLasting(): boolean
  /** A step begins. */
  phase(phase: string, title: string): void
  /** How far the step is, as often as you like: a terminal sees a bar, a program an event a second, a pipe nothing. */
  progress(phase: string, done: number, total: number): void
  warn(message: string): void
  /**
   * What a person has to read before a question, line by line. Whatever a line holds, it stays one line, and nothing in it is hidden or obeyed. What is too long
   * for a terminal goes on far to the right of where lines begin: the terminal itself would let it begin like another line.
   */
  show(lines: readonly string[]): void
  /** The answer. `fields` for programs in snake_case, `text` for people: our own lines and colours, and nothing else that a terminal would obey. Once. */
  answer(schema: string, fields: object, text: string): void
}

const EVERY_MS = 100

/** Steps after which something may be there that was not there before. */
const LASTING: readonly string[] = ['sign', 'upload', 'propose', 'send', 'publish']

export function buildOutput({ streams, clock, json, events, untouched }: OutputOptions): Output {
  const paint = createPaint(streams.color)
  let bar: { phase: string; startMs: number; startDone: number; lastMs: number } | undefined
  let isBarShown = false
  let hasLasting = false

  const clearBar = () => {
    if (isBarShown) streams.stderr('\r\u001b[K')
    isBarShown = false
  }
  return {
    json,
    paint,
    untouched: untouched ?? (events ? 'Nothing was published.' : 'Nothing was changed.'),
    hasLasting: () => hasLasting,
    phase(phase, title) {
      clearBar()
      hasLasting ||= LASTING.includes(phase)
      bar = undefined
      if (json && events) streams.stdout(renderEvent({ type: 'phase', phase, title }))
      if (!json) streams.stderr(`${paint('dim', plainLine(title))}\n`)
    },
    progress(phase, done, total) {
      const now = clock.monotonicMs()
      if (bar?.phase !== phase) bar = { phase, startMs: now, startDone: done, lastMs: Number.NEGATIVE_INFINITY }
      const every = json ? 10 * EVERY_MS : EVERY_MS
      if (now - bar.lastMs < every && done < total) return
      bar.lastMs = now
      if (json && events) streams.stdout(renderEvent({ type: 'progress', phase, done, total, unit: 'bytes' }))
      if (json || streams.columns === null) return
      const seconds = (now - bar.startMs) / 1000
      const rate = seconds > 0.5 ? (done - bar.startDone) / seconds : null
      const line = renderProgress(
        { label: phase, done, total, unit: 'bytes', rate },
        { color: streams.color, width: streams.columns - 1 },
      )
      streams.stderr(`\r\u001b[K${line}`)
      isBarShown = true
      if (done >= total) clearBar()
    },
    warn(message) {
      clearBar()
      if (json && events) return streams.stdout(renderEvent({ type: 'log', level: 'warning', message }))
      streams.stderr(`${paint('warning', 'warning')}: ${plainLine(message)}\n`)
    },
    show(lines) {
      clearBar()
      const text = lines.map(visible)
      if (json && events) return streams.stdout(renderEvent({ type: 'log', level: 'info', message: text.join('\n') }))
      const { columns } = streams
      streams.stderr(`${(columns === null ? text : text.map((line) => folded(line, columns))).join('\n')}\n`)
    },
    answer(schema, fields, text) {
      clearBar()
      const envelope = okEnvelope(schema, fields)
      if (json) streams.stdout(events ? renderEvent(resultEvent(envelope)) : renderJson(envelope))
      else streams.stdout(text.endsWith('\n') || text === '' ? harmless(text) : `${harmless(text)}\n`)
    },
  }
}

/** Broken after spaces, every one of which stays; a word that is longer than a line stands whole, so that it can be copied. */
function folded(line: string, columns: number): string {
  if (displayWidth(line) <= columns) return line
  const margin = `${/^ */.exec(line)?.[0] ?? ''}      `
  const parts: string[] = []
  let current = ''
  for (const word of line.split(/(?<= )(?! )/)) {
    if (current.trim() !== '' && displayWidth(current + word.trimEnd()) > columns) {
      parts.push(current)
      current = margin
    }
    current += word
  }
  return [...parts, current].join('\n')
}

/** Our lines, tabs and the colours of `paint`, whatever letters there are, and spelled out whatever else a terminal would obey. */
function harmless(text: string): string {
  return text
    .split(OWN)
    .map((part, index) => (index % 2 === 1 ? part : part.replaceAll(OBEYED, visible)))
    .join('')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: those of paint
const OWN = /(\n|\t|\u001b\[(?:1|2|22|3[1-9])m)/
/** Controls, and what turns the order of letters round. */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
