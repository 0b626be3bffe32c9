import { access, constants } from 'node:fs/promises'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { Machine } from './machine.ts'

/** Whether this user may change this host by itself. A host that is not there yet may be made. */
export async function mayWrite({ paths }: Pick<Machine, 'paths'>): Promise<boolean> {
  for (const path of [paths.root, paths.state]) {
    try {
      await access(path, constants.W_OK | constants.X_OK)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') continue
      return false
    }
  }
  return true
}

/** Throws Failure E-NOT-PERMITTED, exit 5, unless this user may change this host. */
export async function requireWrite(machine: Pick<Machine, 'paths'>): Promise<void> {
  if (!(await mayWrite(machine))) throw notPermitted(machine)
}

/** This user may not, and nobody is there who could do it instead. */
export function notPermitted({ paths }: Pick<Machine, 'paths'>): Failure {
  return new Failure({
    code: 'E-NOT-PERMITTED',
    exit: EXIT.forbidden,
    title: 'this user may not change this host',
    detail: `${paths.state} is not this user's to write, and no daemon answers that would do it for them.`,
    state: 'Nothing was changed.',
    next: ['run it as the user netlink or as root'],
  })
}
