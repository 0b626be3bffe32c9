import { EXIT } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'

/** What a release asks for and this agent can't do yet: refused, and named. */
export function needsEngine(engine: string, version: string, what: readonly string[]): Failure {
  return new Failure({
    code: 'E-NEEDS-ENGINE',
    exit: EXIT.refused,
    title: `the engine for ${engine} is not in this version`,
    detail: `${version} asks for ${what.join(', ')}.`,
    state: `Nothing was changed; this host stays on ${version}.`,
    next: ['the same command with --dry-run'],
  })
}

/** There is no release here whose parts could be worked on. */
export function nothingInstalled(): Failure {
  return new Failure({
    code: 'E-NOTHING-INSTALLED',
    exit: EXIT.refused,
    title: 'nothing is installed on this host',
    detail: 'There is no generation that counts.',
    state: 'Nothing was changed.',
    next: ['netlink update upgrade --latest'],
  })
}
