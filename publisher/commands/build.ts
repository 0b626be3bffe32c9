import type { Command } from 'commander'
import type { Version } from '../../schema/version.ts'
import { buildRelease, requireClean } from '../release.ts'
import { withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, withShared } from './context.ts'
import { builtWords, type FromOptions, withSources } from './published.ts'

/** Adds `build VERSION --from DIR`. */
export function addBuild(program: Command, context: CommandContext): void {
  withShared(withSources(program.command('build')))
    .description('pack the folders and print what comes out; a second run prints the same')
    .action((version: Version, options: FromOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish build', async (workshop) => {
          const built = await buildRelease(workshop, version, options.from, options)
          for (const { where, what } of [...built.findings.errors, ...built.findings.warnings])
            output.warn(`${where} ${what}`)
          output.answer(
            'netlink.publish.build/v1',
            { version, artifacts: built.packed.map(({ artifact }) => artifact) },
            builtWords(built),
          )
        }),
      ),
    )
}

/** Adds `check VERSION --from DIR`. */
export function addCheck(program: Command, context: CommandContext): void {
  withShared(withSources(program.command('check')))
    .description('look for everything that would be refused: release.json, changelog, files, secrets, size')
    .action((version: Version, options: FromOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish check', async (workshop) => {
          const built = await buildRelease(workshop, version, options.from, options)
          requireClean(workshop, built)
          output.answer(
            'netlink.publish.check/v1',
            { version, artifacts: built.packed.map(({ artifact }) => artifact), warnings: built.findings.warnings },
            `${builtWords(built)}\n${version} can be released`,
          )
        }),
      ),
    )
}
