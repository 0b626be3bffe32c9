// How far ahead of what this server knows a signed number may lie. Numbers of metadata only rise, and nobody can count on from the greatest one that there
// is: a thief of a key who signs it once would end what the key is for, also after the key was replaced. So no number is followed that no honest past explains.

/** Of a database that was put back from a backup: a seal, or a signature of one role, every minute for ten weeks. */
const MAX_LEAP = 100_000
/** Where nothing is known yet: a repository may be old. From here on, by leaps too, nobody lives to see 2^53. */
const MAX_FIRST = 2 ** 40

/** The greatest number that is believed after `known`; 0: nothing is known. */
export function reachFrom(known: number): number {
  return known === 0 ? MAX_FIRST : known + MAX_LEAP
}

/** The same for a role that comes with a new root or targets: a server from before a theft gets, with the new keys, whatever numbers the thief left to count on from. */
export function vouchedReachFrom(known: number): number {
  return Math.max(MAX_FIRST, reachFrom(known))
}

/** Whether both numbers of a timestamp are believed by a server that gave out these. */
export function isWithinReach(
  claimed: { readonly timestamp: number; readonly snapshot: number },
  known: { readonly timestampVersion: number; readonly snapshotVersion: number },
): boolean {
  return claimed.timestamp <= reachFrom(known.timestampVersion) && claimed.snapshot <= reachFrom(known.snapshotVersion)
}
