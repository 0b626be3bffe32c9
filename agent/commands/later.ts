import { EXIT } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import type { Command } from './context.ts'

/** A command that the interface names and this version does not have: it says so, and exits 2. */
export function buildLaterCommand(name: string): Command<object> {
  return async () => {
    throw new Failure({
      code: 'E-NOT-IN-THIS-VERSION',
      exit: EXIT.usage,
      title: `${name} is not in this version`,
      detail: 'The command is part of the interface and comes with a later version of this agent.',
      state: 'Nothing was done.',
      next: ['netlink --help'],
    })
  }
}
