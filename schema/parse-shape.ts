import type { z } from 'zod'
import { parseStrict } from './strict-shape.ts'

/** A zod shape whose parsed value is a T, for code that is handed shapes without knowing zod. */
export type Shape<T> = z.ZodType<T>

/** The value as the shape describes it. Throws ShapeError naming the subject (a file, a message) and every place that is wrong. */
export function parseShape<T>(shape: Shape<T>, value: unknown, subject: string): T {
  return parseStrict(shape, value, subject)
}
