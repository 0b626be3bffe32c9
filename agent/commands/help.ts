// netlink help [TOPIC | ERROR-CODE]
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { suggest } from '../../schema/cli/usage.ts'
import type { CommandContext } from './context.ts'
import { groups, type Leaf, leaves } from './tree.ts'

interface Options {
  readonly topic?: string
}

/** What each code means and what mostly helps. Codes not named here explain themselves where they appear. */
const CODES: Readonly<Record<string, string>> = {
  'E-SIG-THRESHOLD':
    'Fewer people have signed than must. Nothing of it is used. The publisher has to ask another key holder; a host can only wait.',
  'E-ROLLBACK':
    'The repository shows something older than this host has already seen. Either an old backup was restored on the server, or somebody replays old files.',
  'E-EXPIRED':
    'What was signed is past its date. Check this host’s clock first; then the server has to seal again, or the publisher to sign again.',
  'E-FREEZE':
    'The same timestamp is still served although it has expired: the server, or somebody before it, keeps news away. Check this host’s clock first.',
  'E-HASH':
    'Bytes are not the ones that were signed: damaged on the way, in a cache, or changed. The download is thrown away and may be tried again.',
  'E-MALFORMED': 'A document is not strict JSON or not what its role asks for. It was not used.',
  'E-TOO-LARGE': 'More came than any good answer has. Nothing of it was used.',
  'E-FOREIGN':
    'The repository or manifest is another product’s. This host follows the product of its pinned root only.',
  'E-NO-ROOT':
    'Without a trusted root nothing can be verified. Enrol this host with the root file, or the root’s fingerprint.',
  'E-FLOOR-MISSING':
    'The file that remembers the greatest version that ran here is gone. Without it an old release could pass for a new one, so nothing is installed until this host is enrolled again (--force).',
  'E-UNREACHABLE': 'The server can’t be reached. What is installed goes on running; the next look tries again.',
  'E-LOCKED': 'Another update runs on this host. Watch it with: netlink update status --watch',
  'E-HOLD': 'Somebody holds this host as it is. Lift it with: netlink update unhold',
  'E-QUARANTINED':
    'This version failed here before, or was left by a rollback. Name it with --to if it should be tried again.',
  'E-NEEDS-ENGINE': 'The release asks for something this agent can’t do yet. A newer agent is needed.',
  'E-NOT-ENROLLED': 'This host does not know its server yet: netlink agent enroll',
  'E-INSECURE-HTTP':
    'Plain http shows the token to everybody on the way. Use https, or --insecure-http where that is meant.',
  'E-UNCONFIRMED': 'A change has to be confirmed, and nobody was there to ask. Say --yes.',
  'E-NOT-PERMITTED': 'This user may not change this host. Run it as root or as the user netlink.',
}

export async function run({ output }: CommandContext, options: Options): Promise<ExitCode> {
  const topic = options.topic ?? ''
  const code = topic.toUpperCase()
  const text = CODES[code] ?? commandText(topic)
  if (text === undefined) throw unknownTopic(topic)
  output.document('netlink.help/v1', { topic, text })
  output.print(text)
  return EXIT.ok
}

function commandText(topic: string): string | undefined {
  const line = (leaf: Leaf, group = '') => `  netlink ${group}${leaf.name}`.padEnd(36) + leaf.summary
  const group = groups.find((one) => one.name === topic)
  if (group) return [group.summary, ...group.children.map((leaf) => line(leaf, `${group.name} `))].join('\n')
  if (topic === '') {
    const all = groups.flatMap((one) =>
      one.children.filter((leaf) => leaf.examples.length > 0).map((leaf) => line(leaf, `${one.name} `)),
    )
    return [...all, '', 'More: netlink COMMAND --help, netlink help ERROR-CODE'].join('\n')
  }
  const leaf = [...groups.flatMap((one) => one.children), ...leaves].find((one) => one.name === topic)
  return leaf && [leaf.summary, ...leaf.examples.map((example) => `  ${example}`)].join('\n')
}

function unknownTopic(topic: string): Failure {
  const known = [
    ...Object.keys(CODES),
    ...groups.map((group) => group.name),
    ...groups.flatMap((group) => group.children.map((leaf) => leaf.name)),
  ]
  const nearest = suggest(topic, known)
  return new Failure({
    code: 'E-NO-TOPIC',
    exit: EXIT.usage,
    title: `there is no help about ${JSON.stringify(topic)}`,
    detail: nearest ? `did you mean ${nearest}?` : 'expected a command or an error code such as E-SIG-THRESHOLD',
    state: 'Nothing was done.',
    next: ['netlink help'],
  })
}
