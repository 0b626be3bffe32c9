// When what is published expires, and which roles are to be signed anew.
import { parseDocument } from '../keys/document.ts'
import { decideAlarms, type RoleExpiry } from '../schema/expiry.ts'
import type { Subject } from '../schema/signing-event.ts'
import { channels } from '../schema/version.ts'
import { utcSeconds } from './edit.ts'
import { listPending, loadPending, removePending } from './pending.ts'
import { PublishError } from './publish-error.ts'
import type { Repository } from './repository.ts'
import { holderRoleOf } from './signing.ts'
import type { Workshop } from './workshop.ts'

/** A role that is published. */
export interface PublishedRole extends RoleExpiry {
  readonly version: number
}

/** Every published role, in the order in which hosts read them. What has expired is there too. */
export async function publishedRoles({
  trusted,
  snapshot,
  targets,
  loadChannel,
  openDraft,
}: Repository): Promise<readonly PublishedRole[]> {
  const roles: PublishedRole[] = [
    facts('root', trusted.root.value),
    {
      role: 'timestamp',
      version: trusted.timestampVersion,
      expires: utcSeconds(trusted.expiresAt.get('timestamp') ?? new Date(0)),
    },
    facts('snapshot', snapshot.value),
    facts('targets', targets.value),
  ]
  for (const channel of channels) {
    const role = await loadChannel(channel)
    if (role === undefined) continue
    roles.push(facts(channel, role.value))
    const { lines } = await openDraft(channel)
    for (const [name, line] of [...lines].sort(([a], [b]) => (a < b ? -1 : 1)))
      roles.push({ role: name, version: Number(line.version), expires: String(line.expires) })
  }
  return roles
}

function facts(role: string, { version, expires }: { version: number; expires: Date }): PublishedRole {
  return { role, version, expires: utcSeconds(expires) }
}

/**
 * The roles to be signed anew, a line by way of its channel: those that were named, else all that an alarm is out for; and in any case those that have
 * expired, because nothing at all is accepted over them. Throws PublishError `usage` for a role that people do not sign.
 */
export function decideRenewals(
  published: readonly PublishedRole[],
  named: readonly string[],
  now: Date,
): readonly string[] {
  const byPeople = published.filter(({ role }) => !ONLINE.includes(role))
  const stranger = named.find((name) => !byPeople.some(({ role }) => role === name))
  if (stranger !== undefined) {
    const why = ONLINE.includes(stranger) ? 'the server renews it by itself' : 'no such role is published'
    throw new PublishError(
      'usage',
      `${stranger} can't be refreshed: ${why}; possible are ${byPeople.map(({ role }) => role).join(', ')}`,
    )
  }
  const alarms = decideAlarms(byPeople, now)
  const expired = alarms.filter(({ expiry }) => expiry.kind === 'expired')
  const chosen = named.length === 0 ? alarms.map(({ role }) => role) : [...named, ...expired.map(({ role }) => role)]
  return [...new Set(chosen.map((role) => (role === 'root' || role === 'targets' ? role : holderRoleOf(role))))]
}

const ONLINE: readonly string[] = ['timestamp', 'snapshot']

/** A refresh that waits for signatures and still follows what is published; one that does not any more is removed. */
export async function findWaitingRefresh(
  { machine, layout, output }: Workshop,
  repository: Repository,
): Promise<Subject | undefined> {
  const published = await publishedRoles(repository)
  for (const subject of await listPending(machine.disk, layout.pending)) {
    if (!subject.startsWith('refresh-')) continue
    const pending = await loadPending(machine.disk, layout.pending, subject)
    const stale = [...(pending?.change.documents ?? [])].some(([role, bytes]) => {
      const before = published.find((one) => one.role === role)?.version ?? 0
      return Number(parseDocument(bytes, role).signed.version) !== before + 1
    })
    if (!stale) return subject
    output.warn(`${subject} was signed over something older than what is published now, and is forgotten`)
    await removePending(machine.disk, layout.pending, subject)
  }
  return undefined
}

/** `refresh-20261123`. */
export function refreshSubject(now: Date): Subject {
  return `refresh-${utcSeconds(now).slice(0, 10).replaceAll('-', '')}`
}
