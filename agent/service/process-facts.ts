// What /proc says about a process. Numbers are used again, start times are not: the two together with the boot name one process for ever.
import { readFileSync } from 'node:fs'
import type { ServiceIdentity } from './control.ts'

/** The start time of a living process in clock ticks after boot, undefined if there is none of this number (a zombie is none). */
export function readStartTime(pid: number): string | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // proc(5): the second field is the program's name in parentheses and may hold anything, so the rest is counted from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state] = fields
  return state === 'Z' || state === 'X' ? undefined : fields[19]
}

/** `/proc/sys/kernel/random/boot_id`; `unknown` where there is no /proc. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return 'unknown'
  }
}

/** Whether exactly this process lives. */
export function isAlive(identity: ServiceIdentity): boolean {
  return identity.bootId === readBootId() && readStartTime(identity.pid) === identity.startTime
}

/** What names the process that has this number now, undefined if there is none. */
export function identify(pid: number): ServiceIdentity | undefined {
  const startTime = readStartTime(pid)
  return startTime === undefined ? undefined : { pid, startTime, bootId: readBootId() }
}
