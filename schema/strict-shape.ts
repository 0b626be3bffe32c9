import { z } from 'zod'
import { nearestKey } from './nearest-key.ts'
import { readShape } from './read-shape.ts'
import { ShapeError, type ShapeIssue } from './shape-error.ts'

/**
 * The value as the shape reads it. Throws ShapeError otherwise; where a strict object meets an unknown key, the issue names the known one that was
 * most likely meant. `subject` names the document: a file, a message.
 */
export function parseStrict<T extends z.ZodType>(shape: T, value: unknown, subject: string): z.output<T> {
  const result = readShape(shape as z.ZodType<z.output<T>>, value)
  if (result.success) return result.data
  const issues = result.error.issues.flatMap((issue) => explainIssue(issue, { shape, value, path: [] }))
  throw new ShapeError(subject, issues, { cause: result.error })
}

type Path = readonly PropertyKey[]

/** A shape, the value that it was to read and where that stands in the document. */
interface Place {
  readonly shape: z.core.$ZodType
  readonly value: unknown
  readonly path: Path
}

/** What zod says, in this project's words: lower case, no full stop, with the pointer of the exact place. */
function explainIssue(issue: z.core.$ZodIssue, place: Place): ShapeIssue[] {
  const path = [...place.path, ...issue.path]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        pointer: toPointer([...path, key]),
        message: explainKey(key, issue.path, place),
      }))
    case 'invalid_key':
      return issue.issues.map((inner) => ({
        pointer: toPointer(path),
        message: `unusable key: ${plainMessage(inner)}`,
      }))
    case 'invalid_union':
      return explainUnion(issue, place)
    default:
      return [{ pointer: toPointer(path), message: plainMessage(issue) }]
  }
}

function explainKey(key: string, path: Path, place: Place): string {
  const value = valueAt(place.value, path)
  const present = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const known = knownKeys(place.shape, place.value, path).filter((candidate) => !present.includes(candidate))
  const nearest = nearestKey(key, known)
  if (nearest !== undefined) return `unknown key ${JSON.stringify(key)}; did you mean ${JSON.stringify(nearest)}?`
  if (known.length === 0) return `unknown key ${JSON.stringify(key)}`
  const listed = known.slice(0, MAX_LISTED).join(', ')
  return `unknown key ${JSON.stringify(key)}; possible here: ${listed}${known.length > MAX_LISTED ? ', …' : ''}`
}

const MAX_LISTED = 12

/** A union fails as a whole: what matters is the one alternative that the value was meant to be, if there is just one. */
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, place: Place): ShapeIssue[] {
  const path = [...place.path, ...issue.path]
  const value = valueAt(place.value, issue.path)
  const alternatives = shapesAt(place.shape, place.value, issue.path).flatMap((shape) => optionsOf(shape))
  const meant = issue.errors
    .map((issues, index) => ({ issues, shape: alternatives[index] }))
    .filter(({ issues }) => !issues.some((inner) => inner.path.length === 0 && inner.code === 'invalid_type'))
  const [only] = meant
  if (meant.length === 1 && only?.shape !== undefined) {
    const { shape } = only
    return only.issues.flatMap((inner) => explainIssue(inner, { shape, value, path }))
  }
  const messages = new Set(issue.errors.flatMap((issues) => issues.slice(0, 1).map(plainMessage)))
  return [{ pointer: toPointer(path), message: messages.size > 0 ? [...messages].join(', or ') : plainMessage(issue) }]
}

function plainMessage(issue: z.core.$ZodIssue): string {
  const message = issue.message
    .replace(/^Invalid (input|option|string|discriminator value)[:.] /, '')
    .replace(/, received undefined$/, ', but it is missing')
    .replace(/, received /, ', not ')
  return message.charAt(0).toLowerCase() + message.slice(1)
}

/** RFC 6901. */
function toPointer(path: Path): string {
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  )
}

function knownKeys(shape: z.core.$ZodType, value: unknown, path: Path): string[] {
  const objects = shapesAt(shape, value, path).flatMap((found) => alternativesFor(found, valueAt(value, path)))
  return [...new Set(objects.flatMap((found) => (found instanceof z.ZodObject ? Object.keys(found.shape) : [])))]
}

/** The shapes that may stand at a path, without the wrappers around them. */
function shapesAt(shape: z.core.$ZodType, value: unknown, path: Path): z.core.$ZodType[] {
  const [key, ...rest] = path
  const unwrapped = unwrap(shape)
  if (key === undefined) return [unwrapped]
  const inner = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
  return alternativesFor(unwrapped, value).flatMap((found) =>
    childrenOf(found, key).flatMap((child) => shapesAt(child, inner, rest)),
  )
}

function childrenOf(shape: z.core.$ZodType, key: PropertyKey): z.core.$ZodType[] {
  if (shape instanceof z.ZodObject) {
    const child: unknown = Object.hasOwn(shape.shape, key) ? Reflect.get(shape.shape, key) : undefined
    return child instanceof z.core.$ZodType ? [child] : []
  }
  if (shape instanceof z.ZodArray) return [shape.element]
  if (shape instanceof z.ZodRecord) return [shape.valueType]
  return []
}

/** The alternatives of a union that the value's own words allow (its discriminator), else all; a shape that is no union is its own only one. */
function alternativesFor(shape: z.core.$ZodType, value: unknown): z.core.$ZodType[] {
  const options = optionsOf(shape)
  const fitting = options.filter((option) => literalsAgree(option, value))
  return fitting.length > 0 ? fitting : options
}

function optionsOf(shape: z.core.$ZodType): z.core.$ZodType[] {
  return shape instanceof z.ZodUnion ? shape.options.map(unwrap) : [shape]
}

function literalsAgree(shape: z.core.$ZodType, value: unknown): boolean {
  if (!(shape instanceof z.ZodObject) || typeof value !== 'object' || value === null) return false
  return Object.entries(shape.shape).every(
    ([key, child]) => !(child instanceof z.ZodLiteral) || child.values.has(Reflect.get(value, key)),
  )
}

function unwrap(shape: z.core.$ZodType): z.core.$ZodType {
  const isWrapped =
    shape instanceof z.ZodOptional ||
    shape instanceof z.ZodNullable ||
    shape instanceof z.ZodDefault ||
    shape instanceof z.ZodPrefault ||
    shape instanceof z.ZodReadonly
  if (isWrapped) return unwrap(shape.def.innerType)
  if (shape instanceof z.ZodPipe) return unwrap(shape.def.in)
  return shape
}
