// When signed metadata has to be signed anew. What people sign is told 30, 7 and 1 day before, because people need time; what the server signs is renewed by
// itself at half its life, so there is nothing to say before it has expired.
import { z } from 'zod'
import { timeShape } from './manifest.ts'
import { unreachable } from './unreachable.ts'

/** `soon`: within so many days, the least of them. */
export type Expiry =
  | { readonly kind: 'ok' }
  | { readonly kind: 'soon'; readonly days: (typeof EXPIRY_ALARM_DAYS)[number] }
  | { readonly kind: 'expired' }

/** So many days before, from the last to the first. */
export const EXPIRY_ALARM_DAYS = [1, 7, 30] as const

/** A role and when it expires, UTC in whole seconds. */
export const roleExpiryShape = z.object({ role: z.string().max(128), expires: timeShape })
export type RoleExpiry = Readonly<z.infer<typeof roleExpiryShape>>

const DAY_MS = 86_400_000
const ONLINE: readonly string[] = ['timestamp', 'snapshot']

/** How a role stands. Like a host, it counts a role as expired at the very second that it names. */
export function decideExpiry(role: string, expires: Date, now: Date): Expiry {
  const leftMs = expires.getTime() - now.getTime()
  if (leftMs <= 0) return { kind: 'expired' }
  if (ONLINE.includes(role)) return { kind: 'ok' }
  const days = EXPIRY_ALARM_DAYS.find((limit) => leftMs <= limit * DAY_MS)
  return days === undefined ? { kind: 'ok' } : { kind: 'soon', days }
}

/** Nothing that people sign holds for longer: a year, and a day for clocks that differ. What never expires can never be taken back. */
const MAX_LIFETIME_MS = 366 * DAY_MS

/** Whether a role that people sign ends within that. */
export function endsInTime(expires: Date, now: Date): boolean {
  return expires.getTime() - now.getTime() <= MAX_LIFETIME_MS
}

/** Whether a role that people sign now may expire then. */
export function isSignableExpiry(expires: Date, now: Date): boolean {
  return expires > now && endsInTime(expires, now)
}

/** A role that somebody has to do something about. */
export interface ExpiryAlarm extends RoleExpiry {
  readonly expiry: Exclude<Expiry, { kind: 'ok' }>
}

/** The roles that need somebody, the most urgent first. */
export function decideAlarms(roles: readonly RoleExpiry[], now: Date): readonly ExpiryAlarm[] {
  return roles
    .flatMap((one): ExpiryAlarm[] => {
      const expiry = decideExpiry(one.role, new Date(one.expires), now)
      return expiry.kind === 'ok' ? [] : [{ ...one, expiry }]
    })
    .sort((a, b) => (a.expires < b.expires ? -1 : a.expires > b.expires ? 1 : 0))
}

/** `alpha expires in 6 days`, `targets expired 2 days ago`. */
export function expiryWords(role: string, expires: Date, now: Date): string {
  const { kind } = decideExpiry(role, expires, now)
  const days = Math.abs(expires.getTime() - now.getTime()) / DAY_MS
  switch (kind) {
    case 'expired':
      return days < 1 ? `${role} has expired today` : `${role} expired ${countDays(Math.floor(days))} ago`
    case 'soon':
    case 'ok':
      return days < 1 ? `${role} expires within a day` : `${role} expires in ${countDays(Math.floor(days))}`
    default:
      return unreachable(kind)
  }
}

function countDays(days: number): string {
  return days === 1 ? '1 day' : `${days} days`
}
