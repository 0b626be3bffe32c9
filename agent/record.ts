// Small documents of our own, read by hand where zod would cost start-up time and the daemon's memory.
import { ShapeError } from '../schema/shape-error.ts'

/** An object of a document that is being read; `subject` names the document. */
export interface Record {
  readonly subject: string
  readonly fields: { readonly [name: string]: unknown }
  wrong(name: string, message: string): never
}

/** Throws ShapeError if the value is not an object. */
export function recordOf(value: unknown, subject: string): Record {
  const wrong = (name: string, message: string): never => {
    throw new ShapeError(subject, [{ pointer: name === '' ? '' : `/${name}`, message }])
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('', 'expected an object')
  return { subject, fields: { ...value }, wrong }
}

/** A text of 1 to 4096 characters, of this form if one is given. */
export function textIn(record: Record, name: string, form?: RegExp): string {
  const value = record.fields[name]
  if (typeof value !== 'string' || value === '' || value.length > 4096) return record.wrong(name, 'expected text')
  if (form && !form.test(value)) return record.wrong(name, `expected text of the form ${form.source}`)
  return value
}

/** The same, or null where it is null or left out. */
export function optionalTextIn(record: Record, name: string): string | null {
  const value = record.fields[name]
  return value === null || value === undefined ? null : textIn(record, name)
}

export function booleanIn(record: Record, name: string): boolean {
  const value = record.fields[name]
  return typeof value === 'boolean' ? value : record.wrong(name, 'expected true or false')
}

/** An integer of 0 or more. */
export function countIn(record: Record, name: string): number {
  const value = record.fields[name]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : record.wrong(name, 'expected an integer of 0 or more')
}
