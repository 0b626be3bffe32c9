// How an authorisation to send hosts down stands once somebody has signed it: complete, or kept for the next holder and refused by exit status, so that no script takes
// one for the other.
import { verifyDowngradeAuthorization } from '../../keys/assignment.ts'
import { parseDocument } from '../../keys/document.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { renderFields } from '../../schema/cli/table.ts'
import type { DowngradeAuthorization } from '../../schema/downgrade-authorization.ts'
import { channelOf } from '../../schema/version.ts'
import { asFileName, type SavedAuthorization, saveAuthorization } from '../authorization/file.ts'
import type { Holder } from '../config.ts'
import { utcSeconds } from '../edit.ts'
import { signersOf } from '../holder-names.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { type SignatureStanding, standingOf, standingWords } from '../signing.ts'
import type { Workshop } from '../workshop.ts'

export interface SignedDowngrade {
  readonly value: Pick<DowngradeAuthorization, 'hosts' | 'from' | 'to' | 'expires' | 'nonce'>
  readonly saved: SavedAuthorization
  /** The file as it was typed. */
  readonly name: string
  readonly holders: readonly Holder[]
}

/** Who may sign: the holders of this folder, and whoever root and targets name besides. */
export function downgradeHolders(
  { machine, config }: Workshop,
  { trusted, targets }: Repository,
): Promise<readonly Holder[]> {
  return signersOf(machine.disk, config, { root: trusted.root.signed, targets: targets.signed })
}

/**
 * Verifies what is complete as a host does, writes the file, and answers. Throws PublishError `unsigned`, with the file written, while signatures are missing;
 * as saveAuthorization.
 */
export async function keepDowngrade(workshop: Workshop, repository: Repository, done: SignedDowngrade): Promise<void> {
  const { value, saved, holders } = done
  const to = value.to.version
  const keys = roleKeysOf(repository.targets, channelOf(to))
  const standing = standingOf(parseDocument(saved.bytes), keys, holders)
  if (standing.complete) verifyDowngradeAuthorization(repository.targets, to, saved.bytes)
  await saveAuthorization(workshop.machine.disk, saved)
  if (!standing.complete) throw incomplete(done, standing, keys.role)
  answer(workshop, done, standing)
}

function incomplete({ value, name }: SignedDowngrade, standing: SignatureStanding, role: string): PublishError {
  const file = asFileName(name)
  return new PublishError('unsigned', standingWords(`the way down to ${value.to.version}`, standing), {
    role,
    standing,
    state: `${name} is written and not complete: no server and no host takes it before the next holder has signed.`,
    next: standing.missing.map((who) =>
      who.includes(' ')
        ? `netlink-publish sign ${file} --signer NAME      (where ${who} is)`
        : `netlink-publish sign ${file} --signer ${who}      (where ${who}'s keys are)`,
    ),
  })
}

function answer({ output }: Workshop, { value, saved, name }: SignedDowngrade, { have }: SignatureStanding): void {
  const { hosts, from, to, nonce } = value
  const expires = utcSeconds(value.expires)
  const next = [`netlink-admin hosts pin ${hosts[0]} --to ${to.version} --authorization ${name}`]
  const versions = { from: from.version, to: to.version }
  output.answer(
    'netlink.publish.authorize-downgrade/v1',
    { file: saved.file, hosts, ...versions, expires, nonce, signed_by: have, complete: true, next },
    `${renderFields(
      [
        ['way', `${from.version} → ${to.version}`],
        ['hosts', hosts.join(', ')],
        ['until', expires],
        ['signed by', have.join(', ')],
        ['written to', name],
      ],
      { color: false },
    )}Next: ${next.join('\n')}`,
  )
}
