// Names in a release's argv, env and health checks, and where they come from: only the site's `config/app.env` and the four names that this project gives.
//
//   ${PORT}          its value; an error where it has none
//   ${PORT:-8480}    its value, 8480 where it has none or an empty one
//
// Nothing else is special: no nesting, no commands, no `$PORT`, and nothing of the agent's own environment. Pure, and free of packages: the supervisor
// imports it too.

export type ExpandErrorCode =
  | 'unset' // ${NAME} without a value
  | 'malformed' // `${` that does not go on as above
  | 'bad-line' // a line of app.env that is no NAME=value

/** A text asks for what is not there. The message holds names and line numbers, never values. */
export class ExpandError extends Error {
  override readonly name = 'ExpandError'
  readonly code: ExpandErrorCode

  constructor(code: ExpandErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export type Variables = ReadonlyMap<string, string>

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g

/** The text with every reference replaced. Values are taken as they are: a reference inside a value stays text. Throws ExpandError `unset` or `malformed`. */
export function expand(text: string, variables: Variables): string {
  return text.replace(REFERENCE, (all, name?: string, otherwise?: string) => {
    if (name === undefined)
      throw new ExpandError('malformed', `expected \${NAME} or \${NAME:-default} in ${JSON.stringify(text)}`)
    const value = variables.get(name)
    if (otherwise !== undefined) return value || otherwise
    if (value === undefined) throw new ExpandError('unset', `${all} has no value: set ${name} in config/app.env`)
    return value
  })
}

/**
 * `app.env`: one `NAME=value` a line; empty lines and lines that begin with `#` count for nothing; one pair of quotes around a value is taken off, and
 * nothing is expanded. A name given twice has its last value. Throws ExpandError `bad-line` with the line's number.
 */
export function parseAppEnv(text: string): Variables {
  const variables = new Map<string, string>()
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const [, name, value] = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined)
      throw new ExpandError('bad-line', `config/app.env line ${index + 1}: expected NAME=value`)
    variables.set(name, unquote(value))
  }
  return variables
}

function unquote(value: string): string {
  const quote = value[0]
  return value.length >= 2 && (quote === '"' || quote === "'") && value.endsWith(quote) ? value.slice(1, -1) : value
}
