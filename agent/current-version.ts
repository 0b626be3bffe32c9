import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { Paths } from './paths.ts'

/**
 * The version that runs, null before the first installation: what `current` leads to, and nothing else. Imports no shapes, so that it is quick. Throws
 * Failure E-CURRENT where `current` leads to something unreadable.
 */
export function readCurrentVersion(paths: Pick<Paths, 'current'>): string | null {
  const file = join(paths.current, 'generation.json')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    // A link that leads nowhere is no fresh host.
    if (isMissing && lstatSync(paths.current, { throwIfNoEntry: false }) === undefined) return null
    if (error instanceof Error && 'code' in error && error.code === 'EACCES')
      throw unreadable(file, error, EXIT.forbidden)
    throw unreadable(file, error, EXIT.unexpected)
  }
  try {
    const { version } = JSON.parse(text)
    if (typeof version === 'string') return version
  } catch (error) {
    throw unreadable(file, error, EXIT.unexpected)
  }
  throw unreadable(file, new Error('it names no version'), EXIT.unexpected)
}

function unreadable(file: string, cause: unknown, exit: typeof EXIT.forbidden | typeof EXIT.unexpected): Failure {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new Failure(
    {
      code: 'E-CURRENT',
      exit,
      title: 'what is installed here can’t be read',
      detail: `${file}: ${why}`,
      state: 'Nothing was changed.',
      next: ['netlink update verify', 'netlink update rollback'],
    },
    { cause },
  )
}
