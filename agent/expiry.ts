// Until when this host can be given new releases. What people sign expires one day; then nothing new is installed, and what runs goes on. This host says so
// beforehand, in `status`, in `check` and in its reports: who signs may not look at the server.
import { decideAlarms, expiryWords, type RoleExpiry } from '../schema/expiry.ts'
import { utcSecond } from './utc-second.ts'

/** What has to be signed anew, as it is reported: within 30, 7 or 1 day, or expired (null). */
export interface ExpiryFact extends RoleExpiry {
  readonly within_days: number | null
}

/** Of the roles that people sign, the one that expires first; null if none was looked at. */
export function firstExpiry(expiresAt: ReadonlyMap<string, Date>): RoleExpiry | null {
  const [first] = [...expiresAt]
    .filter(([role]) => role !== 'timestamp' && role !== 'snapshot')
    .sort(([, a], [, b]) => a.getTime() - b.getTime())
  return first === undefined ? null : { role: first[0], expires: utcSecond(first[1]) }
}

/** Whether somebody has to be told; null if there is time. */
export function decideExpiryFact(first: RoleExpiry | null, now: Date): ExpiryFact | null {
  const [alarm] = first === null ? [] : decideAlarms([first], now)
  if (alarm === undefined) return null
  const { role, expires, expiry } = alarm
  return { role, expires, within_days: expiry.kind === 'soon' ? expiry.days : null }
}

/** For people: what it means for this host. */
export function expiryFactWords({ role, expires, within_days: days }: ExpiryFact, now: Date): string {
  const words = expiryWords(role, new Date(expires), now)
  return days === null
    ? `${words}: nothing new is installed until it is signed anew; what runs goes on`
    : `${words}, and nothing new can be installed after that until it is signed anew`
}
