// What the commands that only look have in common.
import type { Command } from 'commander'
import type { Output } from '../output.ts'
import type { Repository } from '../repository.ts'
import { type Machine, type Workshop, withLockedWorkshop, withWorkshop } from '../workshop.ts'
import { type SharedOptions, withShared } from './context.ts'

/** Flags of commands that only look. */
export interface LookOptions extends SharedOptions {
  readonly offline?: boolean
}

/** Adds the flags of commands that only look. */
export function withOffline(command: Command): Command {
  return withShared(command).option('--offline', 'from the trusted copy in the folder, without the server')
}

/** A refresh writes into the trusted copy, one at a time; whoever reads it as it is waits for nobody. */
export function withReading(
  machine: Machine,
  output: Output,
  options: LookOptions,
  name: string,
  use: (workshop: Workshop) => Promise<void>,
): Promise<void> {
  if (options.offline) return withWorkshop(machine, output, options, use)
  return withLockedWorkshop(machine, output, options, `netlink-publish ${name}`, use)
}

/** The repository as it is now, or as it was when it was last looked at. */
export function openRepository(workshop: Workshop, options: LookOptions): Promise<Repository> {
  return options.offline ? workshop.offline() : workshop.refresh()
}
