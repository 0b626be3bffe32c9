// Where commands print: data on stdout, everything else on stderr; one JSON document, or one event a line; colour and live lines on a terminal only.
import {
  type CommandEvent,
  errorEnvelope,
  okEnvelope,
  renderEvent,
  renderJson,
  resultEvent,
} from '../../schema/cli/envelope.ts'
import type { FailureFacts } from '../../schema/cli/failure.ts'
import { renderFailure } from '../../schema/cli/failure-text.ts'
import { createPaint, decideColor, type Paint } from '../../schema/cli/paint.ts'
import { wrap } from '../../schema/cli/text-width.ts'

export interface Output {
  readonly json: boolean
  /** Somebody sits there and can be asked. */
  readonly interactive: boolean
  /** Columns of the terminal, null in a pipe. */
  readonly width: number | null
  readonly color: boolean
  readonly paint: Paint
  /** A piece of the answer. Nothing with --json. */
  print(text: string): void
  /** The same for sentences: on a terminal in lines of its width, but for those that begin with `Next:` or a space. */
  say(text: string): void
  /** What is said besides the answer, a sentence. */
  note(text: string): void
  /** The answer as a document; printed with --json only. */
  document(schema: string, data: object): void
  /** One event of a long operation; printed with --json only. */
  event(event: CommandEvent): void
  /** The last event of a long operation. */
  result(schema: string, data: object): void
  /** What failed, in the form that was asked for. After events, it is the last of them. */
  failure(facts: FailureFacts): void
  /** A line that the next one overwrites; on a terminal only. null takes it away. */
  live(line: string | null): void
  /** The answer to a question, null where nobody can be asked. */
  ask(question: string): Promise<string | null>
}

/** What of the process is needed. `isTTY` and `columns` are a terminal's. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stdout: Sink
  readonly stderr: Sink
  readonly env: Readonly<Record<string, string | undefined>>
}

type Sink = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }

export function buildOutput(streams: Streams, options: { readonly json: boolean; readonly noColor: boolean }): Output {
  const { stdin, stdout, stderr, env } = streams
  const { json } = options
  const isTerminal = stdout.isTTY === true
  const width = isTerminal ? (stdout.columns ?? 80) : null
  const color = decideColor({ isTerminal, noColorFlag: options.noColor, environment: env })
  let hasEvents = false
  let hasLive = false
  const clearLive = () => {
    if (hasLive) stderr.write('\r\u001b[K')
    hasLive = false
  }
  const print = (text: string) => {
    clearLive()
    if (!json) stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  }
  return {
    json,
    interactive: isTerminal && stdin.isTTY === true && !json,
    width,
    color,
    paint: createPaint(color),
    print,
    say: (text) => print(width === null ? text : proseIn(text, width)),
    note: (text) => {
      clearLive()
      stderr.write(`${stderr.isTTY ? proseIn(text, stderr.columns ?? 80) : text}\n`)
    },
    document: (schema, data) => {
      if (json) stdout.write(renderJson(okEnvelope(schema, data)))
    },
    event: (event) => {
      hasEvents = true
      if (json) stdout.write(renderEvent(event))
    },
    result: (schema, data) => {
      if (json) stdout.write(renderEvent(resultEvent(okEnvelope(schema, data))))
    },
    failure: (facts) => {
      clearLive()
      if (json)
        stdout.write(hasEvents ? renderEvent(resultEvent(errorEnvelope(facts))) : renderJson(errorEnvelope(facts)))
      const errorColor = decideColor({
        isTerminal: stderr.isTTY === true,
        noColorFlag: options.noColor,
        environment: env,
      })
      if (!json)
        stderr.write(renderFailure(facts, { color: errorColor, width: stderr.isTTY ? (stderr.columns ?? 80) : null }))
    },
    live: (line) => {
      if (!isTerminal || json || stderr.isTTY !== true) return
      clearLive()
      if (line === null) return
      stderr.write(line)
      hasLive = true
    },
    ask: (question) => askOn(streams, question, isTerminal && stdin.isTTY === true && !json),
  }
}

/** Lines of at most so many columns; a line that is a command or is set apart stays whole, so that it can be copied. */
function proseIn(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => (/^(Next:| )/.test(line) ? [line] : wrap(line, width)))
    .join('\n')
}

async function askOn({ stdin, stderr }: Streams, question: string, canAsk: boolean): Promise<string | null> {
  if (!canAsk) return null
  const { createInterface } = await import('node:readline/promises')
  const lines = createInterface({ input: stdin, output: stderr })
  const ended = new AbortController()
  lines.once('close', () => ended.abort())
  lines.once('SIGINT', () => lines.close())
  try {
    return await lines.question(question, { signal: ended.signal })
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') return '' // end of input, or Ctrl-C: no answer is no
    throw error
  } finally {
    lines.close()
  }
}
