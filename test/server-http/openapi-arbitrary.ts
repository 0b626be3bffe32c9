// Values that fit a schema of openapi.json, as far as its words go.
import fc from 'fast-check'

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly oneOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

type Schemas = Readonly<Record<string, Schema>>

export function arbitraryOf(schema: Schema, schemas: Schemas): fc.Arbitrary<unknown> {
  const of = (inner: Schema) => arbitraryOf(inner, schemas)
  if (schema.$ref) return of(schemas[schema.$ref.replace('#/components/schemas/', '')] ?? {})
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.oneOf ?? schema.anyOf
  if (choices) return fc.oneof(...choices.map(of))
  if (schema.allOf) return fc.tuple(...schema.allOf.map(of)).map((parts) => Object.assign({}, ...parts))
  const types = [schema.type ?? 'unknown'].flat()
  return fc.oneof(...types.map((type) => ofType(type, schema, of)))
}

function ofType(type: string, schema: Schema, of: (inner: Schema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 1_000, 2 ** 31 - 1) })
    case 'number':
      return fc.double({ noNaN: true })
    case 'string':
      return textOf(schema)
    case 'array':
      return fc.array(of(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3),
      })
    case 'object':
      return objectOf(schema, of)
    default:
      return fc.jsonValue()
  }
}

function textOf({ pattern, format, minLength = 0, maxLength = 50 }: Schema): fc.Arbitrary<string> {
  if (format === 'date-time')
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') })
      .map((date) => date.toISOString())
  // Lookbehinds and lookaheads are beyond fast-check: such texts are left to the mutations.
  if (pattern !== undefined && !/\(\?[!=<]/.test(pattern)) return fc.stringMatching(new RegExp(pattern))
  if (pattern?.includes('T')) return fc.constant('2026-11-23T10:00:00Z')
  if (pattern !== undefined) return fc.constantFrom('0a1', '0b2', '1r3+hotfix.1')
  return fc.string({ minLength, maxLength: Math.min(maxLength, 50) })
}

function objectOf(schema: Schema, of: (inner: Schema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, of(inner)]))
  const known = fc.record(fields, { requiredKeys: [...(schema.required ?? [])] })
  if (typeof schema.additionalProperties !== 'object') return known
  const more = fc.dictionary(fc.string({ maxLength: 20 }), of(schema.additionalProperties), { maxKeys: 3 })
  return fc.tuple(more, known).map(([extra, value]) => ({ ...extra, ...(value as object) }))
}
