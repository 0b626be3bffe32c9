// The text of `config/update.yml`: read for schema/update-yml.ts, and edited without touching anything but the one value that changes.
import { type Document, isMap, isScalar, parseDocument, type YAMLMap } from 'yaml'
import { nearestKey } from '../schema/nearest-key.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { parseUpdateYml, type UpdateConfig, updateYmlDefaults } from '../schema/update-yml.ts'

/** The file's text as configuration; an empty file is all defaults. Throws ShapeError naming each place and the nearest right key. */
export function readUpdateYml(text: string, subject = 'config/update.yml'): UpdateConfig {
  const document = parseText(text, subject)
  const broken = document.errors.map((error) => ({
    pointer: '',
    message: error.message.split('\n')[0] ?? error.message,
  }))
  if (broken.length > 0) throw new ShapeError(subject, broken)
  return parseUpdateYml(plainValue(document, subject), subject)
}

/** Forty times the specified file with all its comments. The parser's time grows with the square of what lies inside one another. */
const MAX_CHARS = 32_768

/**
 * The parser follows nested maps with its own stack, and a file of a few kilobytes can exhaust that. A key that is a map itself is refused: to read it costs
 * time exponential in its depth.
 */
function parseText(text: string, subject: string): Document {
  if (text.length > MAX_CHARS)
    throw new ShapeError(subject, [
      { pointer: '', message: `expected at most ${MAX_CHARS} characters, found ${text.length}` },
    ])
  try {
    return parseDocument(text, { stringKeys: true })
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new ShapeError(subject, [{ pointer: '', message: 'expected fewer maps and lists inside one another' }], {
        cause,
      })
    throw cause
  }
}

/** Aliases are refused: a settings file needs none, and a few lines of them can mean gigabytes. */
function plainValue(document: Document, subject: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 }) ?? {}
  } catch (cause) {
    if (cause instanceof ReferenceError)
      throw new ShapeError(subject, [{ pointer: '', message: 'expected no aliases' }], { cause })
    throw cause
  }
}

/** Every setting by its dotted name, as `config set` takes it, with what holds where the file says nothing. */
export function listSettings(): readonly (readonly [name: string, value: string | number | boolean])[] {
  return Object.entries(updateYmlDefaults).flatMap(([section, values]) =>
    Object.entries(values).map(
      ([name, value]: [string, string | number | boolean]) => [`${section}.${name}`, value] as const,
    ),
  )
}

/** What the file itself says of a setting, as it is written there; undefined where it says nothing. */
export function writtenSetting(text: string, name: string): unknown {
  return parseDocument(text).getIn(['update_system', ...name.split('.')])
}

/**
 * The file's text with one setting changed and every other byte kept: comments, order, spelling. `name` is dotted, with or without `update_system.`; `value`
 * is YAML. Throws ShapeError if the setting is unknown or the value is not one of its values.
 */
export function editUpdateYml(text: string, name: string, value: string): string {
  const [section = '', key = '', ...rest] = name.replace(/^update_system\./, '').split('.')
  const known = listSettings().map(([setting]) => setting)
  if (key === '' || rest.length > 0 || !known.includes(`${section}.${key}`)) {
    const nearest = nearestKey(name, known)
    const message = nearest
      ? `is no setting: did you mean ${nearest}`
      : `is no setting: expected one of ${known.join(', ')}`
    throw new ShapeError(`setting ${JSON.stringify(name)}`, [{ pointer: '', message }])
  }
  readUpdateYml(text)
  const edited = replaceValue(text, ['update_system', section, key], value)
  readUpdateYml(edited, `${section}.${key} = ${value}`)
  // A file can be such that new lines fall into something else, a key or a text: then nothing would have been set.
  if (JSON.stringify(writtenSetting(edited, `${section}.${key}`)) !== JSON.stringify(parseDocument(value).toJS()))
    throw new ShapeError('config/update.yml', [
      { pointer: '', message: `write ${section}.${key}: ${value} into it by hand` },
    ])
  return edited
}

function replaceValue(text: string, path: readonly [string, string, string], value: string): string {
  const document = parseDocument(text)
  const node = document.getIn(path, true)
  if (isScalar(node) && node.range) {
    const [start, end] = node.range
    // A key without a value has an empty place right behind its colon.
    return `${text.slice(0, start)}${start === end ? ' ' : ''}${value}${text.slice(end)}`
  }
  const [top, section, key] = path
  const sectionMap = document.getIn([top, section], true)
  if (isMap(sectionMap)) return insertInto(text, sectionMap, `${key}: ${value}`)
  const topMap = document.get(top, true)
  if (isMap(topMap)) return insertInto(text, topMap, `${section}:`, `${key}: ${value}`)
  const separator = text === '' || text.endsWith('\n') ? '' : '\n'
  return `${text}${separator}${top}:\n  ${section}:\n    ${key}: ${value}\n`
}

/** New lines before the map's first entry, indented as that is. A map in braces is left to the person who wrote it that way. */
function insertInto(text: string, map: YAMLMap, ...lines: readonly string[]): string {
  const start = map.range?.[0] ?? 0
  if (map.flow) {
    throw new ShapeError('config/update.yml', [
      { pointer: '', message: `write ${lines.join(' ')} into the map in braces by hand` },
    ])
  }
  const lineStart = text.lastIndexOf('\n', start - 1) + 1
  const indent = text.slice(lineStart, start)
  return (
    text.slice(0, lineStart) +
    lines.map((line, depth) => `${indent}${'  '.repeat(depth)}${line}\n`).join('') +
    text.slice(lineStart)
  )
}
