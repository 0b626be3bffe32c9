// What stands between an authorisation that came from somewhere and a holder's keys: all that it says, in words, and a question. No key is opened before that.
import { fingerprintOf } from '../../keys/release.ts'
import { utcSeconds } from '../edit.ts'
import type { ConsentOptions } from '../event/consent.ts'
import { sectionLines } from '../event/standing.ts'
import type { Section } from '../event/words.ts'
import { spelled } from '../json-difference.ts'
import type { Repository } from '../repository.ts'
import type { SignatureStanding } from '../signing.ts'
import { typedAgain, unanswered } from '../typed-again.ts'
import type { Workshop } from '../workshop.ts'
import type { CheckedAuthorization } from './authorization.ts'

/** What somebody is asked to sign. */
export interface AuthorizationPetition {
  readonly checked: CheckedAuthorization
  /** By its good signatures. */
  readonly standing: SignatureStanding
  /** Whose signatures were not good, by name. */
  readonly dropped: readonly string[]
}

/** Shows it and asks. Throws PublishError `unconfirmed`. */
export async function askToAuthorize(
  { machine, output }: Workshop,
  repository: Repository,
  { checked, standing, dropped }: AuthorizationPetition,
  options: ConsentOptions,
): Promise<void> {
  const { name, value } = checked
  const { root } = repository.trusted
  output.show([
    `${name}: an authorisation to send hosts down`,
    `made again from root v${root.value.version} (${fingerprintOf(root.bytes).slice(0, 16)}…), targets v${repository.targets.value.version}, as this machine trusts them`,
    ...sectionLines(authorizationSections(checked)),
    'signed so far',
    `  ${standingLine(standing)}`,
  ])
  for (const whose of dropped)
    output.warn(
      `the signature of ${whose} is not good for what is shown here and is left out: ask what was signed there`,
    )
  if (options.yes) return
  const hosts = value.hosts.length === 1 ? '1 host' : `${value.hosts.length} hosts`
  const { confirm: ask } = machine
  if (await ask?.(`Sign that ${hosts} may go down from ${value.from.version} to ${value.to.version}?`)) return
  const command = typedAgain(`netlink-publish sign ${name}`, options)
  throw unanswered(name, { isAsked: ask !== undefined, command, allowsYes: true })
}

/** All that an authorisation says, and nothing cut short: whatever else stood in it was refused. */
export function authorizationSections({ value }: CheckedAuthorization): readonly Section[] {
  const { product, hosts, from, to, reason, not_before, expires, nonce } = value
  const short = (digest: string) => `${digest.slice(0, 12)}…`
  return [
    {
      title: 'way',
      lines: [
        `${product} ${from.version} (manifest ${short(from.manifest_sha256)}) -> ${to.version} (manifest ${short(to.manifest_sha256)})`,
      ],
    },
    {
      title: 'manifests',
      lines: [from, to].map(({ version, manifest_sha256 }) => `${version}: sha256 ${manifest_sha256}`),
    },
    { title: hosts.length === 1 ? 'host' : `hosts (${hosts.length})`, lines: hosts },
    { title: 'reason', lines: [spelled(reason)] },
    {
      title: 'good',
      lines: [`from ${utcSeconds(not_before)} until ${utcSeconds(expires)}, once for each host`, `nonce ${nonce}`],
    },
  ]
}

function standingLine({ have, missing, threshold, complete }: SignatureStanding): string {
  const others = complete || missing.length === 0 ? '' : `; could sign: ${missing.join(', ')}`
  return `${have.length} of ${threshold} signatures (${have.join(', ') || 'nobody yet'})${others}`
}
