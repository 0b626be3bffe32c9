// What `--json` prints: one document, or for long operations one event a line with the result last.
import type { FailureFacts } from './failure.ts'

export interface ErrorEnvelope {
  readonly ok: false
  readonly error: {
    readonly code: string
    readonly title: string
    readonly detail: string
    readonly state: string
    readonly next: readonly string[]
  }
}

export type OkEnvelope<T extends object> = { readonly schema: string; readonly ok: true } & Readonly<T>

/** One step of a long operation, as a line of JSON. */
export type CommandEvent =
  | { readonly type: 'phase'; readonly phase: string; readonly title: string }
  /** `total` is null while it is not known. */
  | {
      readonly type: 'progress'
      readonly phase: string
      readonly done: number
      readonly total: number | null
      readonly unit: 'bytes' | 'items'
    }
  | { readonly type: 'log'; readonly level: 'info' | 'warning' | 'error'; readonly message: string }
  | ({ readonly type: 'result' } & (OkEnvelope<object> | ErrorEnvelope))

/** A command's answer. `schema` is its name and version (`netlink.update.check/v1`); the data's fields stand beside it, in snake_case. */
export function okEnvelope<T extends object>(
  schema: string,
  data: T & { readonly schema?: never; readonly ok?: never },
): OkEnvelope<T> {
  return { schema, ok: true, ...data }
}

/** A command's failure. */
export function errorEnvelope({ code, title, detail, state, next }: FailureFacts): ErrorEnvelope {
  return { ok: false, error: { code, title, detail, state, next } }
}

/** The last event of a long operation. */
export function resultEvent(envelope: OkEnvelope<object> | ErrorEnvelope): CommandEvent {
  return { type: 'result', ...envelope }
}

/** A document as text that ends in a line feed, indented for people. */
export function renderJson(document: object): string {
  return `${escapeForTerminal(JSON.stringify(document, null, 2))}\n`
}

/** An event as one line. */
export function renderEvent(event: CommandEvent): string {
  return `${escapeForTerminal(JSON.stringify(event))}\n`
}

/** JSON escapes C0 only. The rest of what plain-text.ts removes is escaped here: the same data for a program, nothing to obey for a terminal. */
function escapeForTerminal(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/g,
    (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
    },
  )
}
