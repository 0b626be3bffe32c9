import { errorEnvelope, okEnvelope, renderEvent, renderJson } from '../../schema/cli/envelope.ts'
import type { FailureFacts } from '../../schema/cli/failure.ts'
import { renderFailure } from '../../schema/cli/failure-text.ts'
import { createPaint, type Paint } from '../../schema/cli/paint.ts'

/** How text is shown. `width` in columns; null in a pipe, where nothing is cut. */
export interface Style {
  readonly color: boolean
  readonly width: number | null
}

export interface Output {
  readonly json: boolean
  readonly style: Style
  readonly paint: Paint
  /** The answer: one document for programs, `text` for people. */
  answer(schema: string, fields: object, text: string): void
  /** One answer of many that follow each other (`--watch`): a line of JSON, or the text in the place of the one before. */
  refresh(schema: string, fields: object, text: string): void
  /** Something that does not belong to the answer. */
  note(text: string): void
  /** The answer as it came, byte for byte. */
  raw(text: string): void
  failure(facts: FailureFacts): void
}

export interface OutputDeps {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly json: boolean
  readonly style: Style
}

export function buildOutput({ stdout, stderr, json, style }: OutputDeps): Output {
  return {
    json,
    style,
    paint: createPaint(style.color),
    answer: (schema, fields, text) => stdout(json ? renderJson(okEnvelope(schema, fields)) : withNewline(text)),
    refresh: (schema, fields, text) => {
      if (json) return stdout(renderEvent({ type: 'result', ...okEnvelope(schema, fields) }))
      // On a terminal the page is drawn over itself: home, the text line by line to its end, then away with what is left below.
      const drawn = withNewline(text).replaceAll('\n', '\u001b[K\n')
      stdout(style.width === null ? `${withNewline(text)}\n` : `\u001b[H${drawn}\u001b[J`)
    },
    note: (text) => stderr(withNewline(text)),
    raw: (text) => stdout(withNewline(text)),
    failure: (facts) => (json ? stdout(renderJson(errorEnvelope(facts))) : stderr(renderFailure(facts, style))),
  }
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
