import { isSignableExpiry } from '../schema/expiry.ts'
import type { JsonObject } from '../schema/json-value.ts'
import { PublishError } from './publish-error.ts'

/** Refuses a document that would hold for longer than anything may, or not at all. Throws PublishError `altered`. */
export function requireLifetime(role: string, { expires }: JsonObject, now: Date): void {
  if (isSignableExpiry(new Date(String(expires)), now)) return
  throw new PublishError(
    'altered',
    `${role} would expire at ${String(expires)}, and nothing is signed for the past or for more than a year`,
  )
}
