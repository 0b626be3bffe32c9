// netlink help [TOPIC | ERROR-CODE]
import { errorCodes, errorTopic } from '../../schema/cli/error-topics.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { suggest } from '../../schema/cli/usage.ts'
import type { CommandContext } from './context.ts'
import { groups, type Leaf, leaves } from './tree.ts'

interface Options {
  readonly topic?: string
}

export async function run({ output }: CommandContext, options: Options): Promise<ExitCode> {
  const topic = options.topic ?? ''
  const code = topic.toUpperCase()
  const text = errorTopic(code) ?? commandText(topic)
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
    ...errorCodes,
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
