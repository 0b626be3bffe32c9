import { ShapeError } from './shape-error.ts'

/** What this project needs of a zod shape, so that `keys/` can be handed one without knowing zod. */
export interface Shape<T> {
  safeParse(
    value: unknown,
  ): { readonly success: true; readonly data: T } | { readonly success: false; readonly error: ZodLikeError }
}

interface ZodLikeError {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
}

/** The value as the shape describes it. Throws ShapeError naming the subject (a file, a message) and every place that is wrong. */
export function parseShape<T>(shape: Shape<T>, value: unknown, subject: string): T {
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ pointer: pointerOf(path), message }))
  throw new ShapeError(subject, issues)
}

/** A JSON pointer (RFC 6901). */
function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
