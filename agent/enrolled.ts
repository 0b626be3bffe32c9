import { type Enrolment, parseEnrolment } from './enrolment.ts'
import type { Machine } from './machine.ts'
import { loadState } from './state-file.ts'

/** undefined if this host was never enrolled. */
export async function loadEnrolment({ disk, files }: Pick<Machine, 'disk' | 'files'>): Promise<Enrolment | undefined> {
  const value = await loadState(disk, files.enrolment)
  return value === undefined ? undefined : parseEnrolment(value, files.enrolment)
}
