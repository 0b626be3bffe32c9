import { PlatformError, type PlatformErrorCode } from './platform-error.ts'

const CODES: Readonly<Record<string, PlatformErrorCode>> = {
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
  EROFS: 'not-permitted',
  ENOENT: 'not-found',
  EEXIST: 'exists',
}

/** What the disk said about `path`, in this project's words. A PlatformError passes through as it is. */
export function diskError(path: string, cause: unknown): PlatformError {
  if (cause instanceof PlatformError) return cause
  const errno = errnoOf(cause)
  const said = cause instanceof Error ? cause.message : String(cause)
  return new PlatformError(CODES[errno] ?? 'io', `${path}: ${said}`, { path }, { cause })
}

/** The same for whatever an effect on `path` throws. */
export async function told<T>(path: string, effect: () => Promise<T>): Promise<T> {
  try {
    return await effect()
  } catch (error) {
    throw diskError(path, error)
  }
}

/** The symbolic error number that Node hangs on what it throws (`ENOENT`), or an empty string. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
