import type { AttemptReport, WaitingReason } from '../../schema/attempt.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { wrap } from '../../schema/cli/text-width.ts'
import type { Host } from '../../schema/rest.ts'

/** Why a host does not update, as one reads it after "waits:". */
export const waitingWords: Readonly<Record<WaitingReason, string>> = {
  notify_only: 'a person decides there (policy notify)',
  automatic_off: 'automatic updates are off there',
  window_closed: 'its update window is closed',
  jitter: 'its turn has not come yet',
  soak: 'the release has to be out for longer first',
  assigned: 'assigned to another version',
  assignment_refused: 'it refused what it was assigned',
  hold: 'held on the host',
  paused: 'the brake is on',
  quarantined: 'the host left this version once',
  barrier_first: 'another version has to come first',
  dead_end: 'no later version can be reached from its own',
  incompatible: 'the release does not fit the host',
  withdrawn: 'the release was withdrawn',
  needs_engine: 'its agent is too old for the release',
  disk: 'not enough disk space',
  locked: 'another update runs there',
  unverified: 'what it was offered does not verify',
  unreachable: 'it can’t reach the server',
  undecided: 'a broken-off update has to be recovered first',
}

export function isWaitingReason(text: string): text is WaitingReason {
  return Object.hasOwn(waitingWords, text)
}

/** The last update of a host in a word or two; what went wrong is marked. */
export function attemptWords(attempt: AttemptReport | null): string {
  if (!attempt) return 'idle'
  const { kind, state, to } = attempt
  if (kind === 'rollback' && state === 'succeeded') return `back to ${to}`
  return isTrouble(attempt) ? `${state} ${to}!` : `${state} ${to}`
}

/** Whether somebody should look: the host is where nobody wanted it to be. */
export function isTrouble(attempt: AttemptReport | null): boolean {
  return attempt !== null && ['failed', 'reverted', 'stranded', 'timed_out'].includes(attempt.state)
}

/** Since when, and how it showed, that more than one machine speaks for a host; null: one does. */
export function forkWords({ identity }: Host): string | null {
  return identity.state === 'single' ? null : `since ${timeWords(identity.since)} UTC: ${plainLine(identity.detail)}`
}

/** When a host was last heard of. */
export function seenWords(host: Host, now: Date): string {
  if (host.online) return 'online'
  return host.last_seen === null ? 'never' : formatAgo(new Date(host.last_seen), now)
}

/** `1 host`, `3 hosts`, `1,204 hosts`. */
export function countOf(count: number, noun: string): string {
  return `${groupDigits(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** `1234567` as `1,234,567`, whatever the locale. */
export function groupDigits(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `2026-11-23T10:00:00Z` as `2026-11-23 10:00:00`; UTC like everything here. */
export function timeWords(time: string | null): string {
  return time === null ? '-' : time.replace('T', ' ').replace('Z', '')
}

/** Sentences in lines of the terminal's width; in a pipe as they are. */
export function prose(text: string, { width }: { readonly width: number | null }): string {
  return width === null ? text : wrap(text, width).join('\n')
}
