// The numbers of a host's reports. Whoever has a host's key can sign any number, and whoever has its server can claim to have stored any: neither may drive
// the numbers to where none is left, or a host could not report any more. Without zod, for the daemon.

/** Greatest number that a server stores, and that it is believed to have stored. No host gets there by counting. */
export const MAX_STORED_SEQ = 1_000_000_000_000_000

/** Greatest number of a report: a host that was told the greatest stored one can still say so much that a server hears it and puts it right. */
export const MAX_REPORT_SEQ = 2 * MAX_STORED_SEQ

/**
 * Most numbers that may be missing before a report: what a host says between a backup of its server and the day on which that is put back. A host whose
 * network comes and goes says something with each connection; once a minute, this is two years.
 */
export const MAX_HOLE = 1_000_000

/** Whether a host that says `seq` next may be the one of which `storedSeq` was stored last. */
export function isHole(storedSeq: number, seq: number): boolean {
  return seq - storedSeq - 1 <= MAX_HOLE
}
