import { nearestKey } from '../nearest-key.ts'
import { EXIT } from './exit-code.ts'
import type { FailureFacts } from './failure.ts'

/** The known word (command, option, channel, …) that was most likely meant; undefined if none is close. */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  return nearestKey(word, known)
}

/** What a command line says about a word it does not know. `command` is what was run so far: `netlink update`. */
export function unknownWord(facts: {
  readonly kind: 'command' | 'option'
  readonly word: string
  readonly known: readonly string[]
  readonly command: string
}): FailureFacts {
  const { kind, word, known, command } = facts
  const nearest = suggest(word, known)
  const possible = known.length === 0 ? `there are no ${kind}s here` : `possible here: ${known.join(', ')}`
  return {
    code: kind === 'command' ? 'E-UNKNOWN-COMMAND' : 'E-UNKNOWN-OPTION',
    exit: EXIT.usage,
    title: `unknown ${kind} ${JSON.stringify(word)}`,
    detail: nearest === undefined ? possible : `did you mean ${JSON.stringify(nearest)}?`,
    state: 'Nothing was done.',
    next: [`${command} --help`],
  }
}
