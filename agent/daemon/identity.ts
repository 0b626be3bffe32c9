// Who this host is, as the daemon needs it: read when it starts and again when the enrolment has changed under it.
import type { KeyObject } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { openEnrolment } from '../enrolled.ts'
import { type Enrolment, hostIdOf, parseHostKey, publicBytesOf } from '../enrolment.ts'
import type { Machine } from '../machine.ts'

export interface Identity {
  readonly enrolment: Enrolment
  readonly key: KeyObject
}

/**
 * undefined while this host is not enrolled. Throws ShapeError, PlatformError or Failure for files that can't be read. Several files say together who this
 * host is, and another process may be replacing them: throws an Error for what does not fit together.
 */
export async function loadIdentity(machine: Pick<Machine, 'disk' | 'files'>): Promise<Identity | undefined> {
  const { disk, files } = machine
  const enrolment = await openEnrolment(machine)
  if (!enrolment) return undefined
  const key = parseHostKey(Buffer.from(await disk.readFile(files.key, 4096)).toString('utf8'), files.key)
  const after = await openEnrolment(machine)
  if (after && sameEnrolment(after, enrolment) && hostIdOf(publicBytesOf(key)) === enrolment.host_id)
    return { enrolment, key }
  throw new Error(`${files.enrolment} and ${files.key} do not belong together`)
}

/** Whether both speak to the same server as the same host, enrolled at the same time. */
export function sameIdentity(one: Identity | undefined, other: Identity | undefined): boolean {
  if (!one || !other) return one === other
  return sameEnrolment(one.enrolment, other.enrolment)
}

/** A channel that was set since does not make it another enrolment. */
function sameEnrolment(one: Enrolment, other: Enrolment): boolean {
  return (
    one.host_id === other.host_id &&
    one.server === other.server &&
    one.enrolled_at === other.enrolled_at &&
    one.ca === other.ca
  )
}

/** Another text whenever the enrolment was written or removed. Never rejects: why it can't be told is a text too. */
export async function stampOf({ files }: Pick<Machine, 'files'>): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(files.enrolment)
    return `${ino} ${mtimeMs} ${size}`
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
