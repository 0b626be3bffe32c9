// The filter of host lists, the same for the command line, REST and pages:
//
//   version=0r1 and group in (eu,us) and last_seen<1h
//   not (state=failed or waiting=disk) and label.rack=12 and name~web-*
//
//   expression  = and { "or" and }          and = not { "and" not }          not = "not" not | "(" expression ")" | comparison
//   comparison  = field operator value | field [ "not" ] "in" "(" value { "," value } ")"
//   field       = version | channel | group | name | host_id | platform | state | waiting | service | agent | identity | online | last_seen | enrolled | label.<name>
//   operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" (words with * and ?)
//   value       = word, or text in double quotes; `none` means: has none (version, group, waiting, last_seen, label)
//
// `<` orders versions as versions; `last_seen<1h` and `enrolled>7d` compare an age (s, m, h, d). Everything typed becomes a parameter, never SQL.
import { type SQL, sql } from 'drizzle-orm'
import { isVersion, type Version } from '../../schema/version.ts'
import { CoreError } from './core-error.ts'
import { at } from './sql-time.ts'
import { versionOrder } from './version-order.ts'

const MAX_LENGTH = 2_000
const MAX_DEPTH = 32

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~'

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly part: Filter }
  | {
      readonly kind: 'compare'
      readonly field: string
      readonly operator: Operator
      readonly value: string
      readonly at: number
    }
  | { readonly kind: 'in'; readonly field: string; readonly values: readonly string[]; readonly at: number }

/** What the text says. Throws CoreError 'invalid' with the place, counted in characters from 1. */
export function parseFilter(text: string): Filter {
  if (text.length > MAX_LENGTH) throw refuse(MAX_LENGTH, `expected at most ${MAX_LENGTH} characters`)
  const tokens = tokenize(text)
  let position = 0
  const next = () => tokens[position]
  const take = () => tokens[position++]
  const where = () => next()?.at ?? text.length
  const isWord = (word: string) => next()?.kind === 'word' && next()?.text.toLowerCase() === word

  function expression(depth: number): Filter {
    if (depth > MAX_DEPTH) throw refuse(where(), `expected at most ${MAX_DEPTH} nested parts`)
    return chain('or', () => chain('and', () => negation(depth)))
  }

  function chain(kind: 'and' | 'or', part: () => Filter): Filter {
    const first = part()
    const parts = [first]
    while (isWord(kind)) {
      take()
      parts.push(part())
    }
    return parts.length === 1 ? first : { kind, parts }
  }

  function negation(depth: number): Filter {
    if (depth > MAX_DEPTH) throw refuse(where(), `expected at most ${MAX_DEPTH} nested parts`)
    if (isWord('not')) {
      take()
      return { kind: 'not', part: negation(depth + 1) }
    }
    if (next()?.text === '(' && next()?.kind === 'sign') {
      take()
      const inner = expression(depth + 1)
      expectSign(')')
      return inner
    }
    return comparison()
  }

  function comparison(): Filter {
    const field = next()
    if (field?.kind !== 'word' || !isField(field.text)) {
      throw refuse(
        where(),
        `expected a field: ${FIELD_NAMES.join(', ')} or label.<name>${field ? `, found ${JSON.stringify(field.text)}` : ''}`,
      )
    }
    take()
    const negated = isWord('not')
    if (negated) take()
    if (isWord('in')) {
      take()
      const among: Filter = { kind: 'in', field: field.text, values: list(), at: field.at }
      return negated ? { kind: 'not', part: among } : among
    }
    const operator = take()
    if (negated || operator?.kind !== 'operator')
      throw refuse(operator?.at ?? text.length, 'expected one of = != < <= > >= ~ in, not in')
    return { kind: 'compare', field: field.text, operator: operator.text as Operator, value: value(), at: field.at }
  }

  function list(): string[] {
    expectSign('(')
    const values = [value()]
    while (next()?.kind === 'sign' && next()?.text === ',') {
      take()
      values.push(value())
    }
    expectSign(')')
    return values
  }

  function value(): string {
    const token = next()
    if (token?.kind !== 'word' && token?.kind !== 'text') throw refuse(where(), 'expected a value')
    take()
    return token.text
  }

  function expectSign(sign: string): void {
    if (next()?.kind !== 'sign' || next()?.text !== sign) throw refuse(where(), `expected ${sign}`)
    take()
  }

  const filter = expression(0)
  if (next()) throw refuse(where(), 'expected and, or, or the end')
  return filter
}

interface Token {
  readonly kind: 'word' | 'text' | 'operator' | 'sign'
  readonly text: string
  readonly at: number
}

const TOKEN = /\s*(?:([A-Za-z0-9_.:+*?/@-]+)|"((?:[^"\\]|\\.)*)"|(!=|<=|>=|[=<>~])|([(),]))/y

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex
    const found = TOKEN.exec(text)
    if (!found)
      throw refuse(
        from + (/^\s*/.exec(text.slice(from))?.[0].length ?? 0),
        'expected a word, "text", an operator or a parenthesis',
      )
    const [whole, word, quoted, operator, sign] = found
    const at = from + (/^\s*/.exec(whole)?.[0].length ?? 0)
    if (word !== undefined) tokens.push({ kind: 'word', text: word, at })
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.replace(/\\(.)/g, '$1'), at })
    else if (operator !== undefined) tokens.push({ kind: 'operator', text: operator, at })
    else tokens.push({ kind: 'sign', text: sign ?? '', at })
  }
  return tokens
}

// ---- meaning ---------------------------------------------------------------------------------------------------------------------------

/** The condition over `hosts h left join presence p`. `online` says which replicas live. Throws CoreError 'invalid' where a value does not fit its field. */
export function filterCondition(
  filter: Filter,
  facts: { readonly now: Date; readonly liveReplicas: readonly string[] },
): SQL {
  switch (filter.kind) {
    case 'and':
    case 'or': {
      const parts = filter.parts.map((part) => filterCondition(part, facts))
      return sql`(${sql.join(parts, filter.kind === 'and' ? sql` and ` : sql` or `)})`
    }
    case 'not':
      return sql`(not coalesce(${filterCondition(filter.part, facts)}, false))`
    case 'in':
      return sql`(${sql.join(
        filter.values.map((value) => compare({ ...filter, operator: '=', value }, facts)),
        sql` or `,
      )})`
    case 'compare':
      return compare(filter, facts)
  }
}

interface Comparison {
  readonly field: string
  readonly operator: Operator
  readonly value: string
  readonly at: number
}

type Facts = { readonly now: Date; readonly liveReplicas: readonly string[] }

const TEXT_COLUMNS: Readonly<Record<string, SQL>> = {
  channel: sql`h.channel`,
  group: sql`h.group_name`,
  name: sql`h.name`,
  host_id: sql`h.host_id`,
  platform: sql`h.platform`,
  state: sql`h.state`,
  waiting: sql`h.waiting`,
  service: sql`(h.inventory ->> 'service')`,
  agent: sql`(h.inventory ->> 'agent_version')`,
  identity: sql`(case when h.forked_at is null then 'single' else 'forked' end)`,
}
const FIELD_NAMES = ['version', ...Object.keys(TEXT_COLUMNS), 'online', 'last_seen', 'enrolled']

function isField(name: string): boolean {
  return FIELD_NAMES.includes(name) || /^label\.[A-Za-z0-9._/-]{1,64}$/.test(name)
}

function compare(one: Comparison, facts: Facts): SQL {
  if (one.field === 'version') return compareVersion(one)
  if (one.field === 'online') return compareOnline(one, facts)
  if (one.field === 'last_seen') return compareAge(one, sql`p.last_seen`, facts)
  if (one.field === 'enrolled') return compareAge(one, sql`h.enrolled_at`, facts)
  const column = Object.hasOwn(TEXT_COLUMNS, one.field) ? TEXT_COLUMNS[one.field] : undefined
  return compareText(one, column ?? sql`(h.labels ->> ${one.field.slice('label.'.length)})`)
}

function compareVersion(one: Comparison): SQL {
  if (one.value === 'none') return compareNone(one, sql`h.version`)
  if (one.operator === '~') return compareText(one, sql`h.version`)
  if (!isVersion(one.value)) throw refuse(one.at, `expected a version such as 0r1, found ${JSON.stringify(one.value)}`)
  const version: Version = one.value
  if (one.operator === '=') return sql`(h.version = ${version})`
  if (one.operator === '!=') return sql`(h.version is distinct from ${version})`
  return sql`(h.version_order ${sql.raw(one.operator)} ${versionOrder(version)})`
}

function compareText(one: Comparison, column: SQL): SQL {
  if (one.value === 'none' && mayBeMissing(one.field)) return compareNone(one, column)
  switch (one.operator) {
    case '=':
      return sql`(${column} = ${one.value})`
    case '!=':
      return sql`(${column} is distinct from ${one.value})`
    case '~':
      return sql`(${column} like ${likePattern(one.value)})`
    default:
      throw refuse(one.at, `${one.field} has no order: expected =, !=, ~ or in`)
  }
}

/** `service=none` is an answer of its own: the release has no service. */
function mayBeMissing(field: string): boolean {
  return field === 'group' || field === 'waiting' || field.startsWith('label.')
}

function compareNone(one: Comparison, column: SQL): SQL {
  if (one.operator === '=') return sql`(${column} is null)`
  if (one.operator === '!=') return sql`(${column} is not null)`
  throw refuse(one.at, 'expected = or != before none')
}

function compareOnline(one: Comparison, facts: Facts): SQL {
  if ((one.value !== 'true' && one.value !== 'false') || (one.operator !== '=' && one.operator !== '!=')) {
    throw refuse(one.at, 'expected online=true or online=false')
  }
  const online = sql`coalesce(p.replica = any(${sql.param([...facts.liveReplicas])}::text[]), false)`
  return (one.value === 'true') === (one.operator === '=') ? sql`(${online})` : sql`(not ${online})`
}

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** `last_seen<1h`: its age is less, so its time is later. */
function compareAge(one: Comparison, column: SQL, facts: Facts): SQL {
  if (one.value === 'none') return compareNone(one, column)
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(one.value) ?? []
  if (amount === undefined || !isUnit(unit))
    throw refuse(one.at, `expected an age such as 90s, 15m, 1h or 7d, found ${JSON.stringify(one.value)}`)
  const then = at(new Date(facts.now.getTime() - Number(amount) * UNIT_SECONDS[unit] * 1000))
  switch (one.operator) {
    case '<':
      return sql`(${column} > ${then})`
    case '<=':
      return sql`(${column} >= ${then})`
    case '>':
      return sql`(${column} < ${then})`
    case '>=':
      return sql`(${column} <= ${then})`
    default:
      throw refuse(one.at, `expected <, <=, > or >= before an age`)
  }
}

function isUnit(text: string | undefined): text is keyof typeof UNIT_SECONDS {
  return text !== undefined && Object.hasOwn(UNIT_SECONDS, text)
}

function likePattern(words: string): string {
  return words
    .replace(/[\\%_]/g, '\\$&')
    .replaceAll('*', '%')
    .replaceAll('?', '_')
}

function refuse(at: number, expected: string): CoreError {
  return new CoreError('invalid', `filter, character ${at + 1}: ${expected}`, {
    reason: 'filter',
    issues: [{ pointer: '/where', message: `character ${at + 1}: ${expected}` }],
  })
}
