// netlink update reinstall-deps: plans what would be installed again; there is no engine for package managers in this version.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { loadInstalled, loadManifest } from '../engine/layout.ts'
import { openHost } from '../host.ts'
import type { CommandContext } from './context.ts'
import { needsEngine, nothingInstalled } from './needs-engine.ts'

interface Options {
  readonly dryRun?: boolean
  readonly manager?: string
}

export async function run({ machine, output, signal }: CommandContext, options: Options): Promise<ExitCode> {
  const host = await openHost(machine, signal)
  const installed = await loadInstalled(host)
  if (!installed) throw nothingInstalled()
  const { dependencies } = await loadManifest(host, installed)
  const planned = dependencies.filter(
    (dependency) => options.manager === undefined || dependency.manager === options.manager,
  )
  if (!options.dryRun && planned.length > 0) {
    throw needsEngine(
      'dependencies',
      installed.version,
      planned.map(({ manager, lock }) => `${manager} (${lock})`),
    )
  }
  output.document('netlink.update.reinstall-deps/v1', {
    dry_run: options.dryRun === true,
    version: installed.version,
    dependencies: planned,
    missing_engines: planned.length > 0 ? ['dependencies'] : [],
  })
  if (planned.length === 0)
    output.print(
      `nothing to do: ${installed.version} has no dependencies${options.manager === undefined ? '' : ` from ${options.manager}`}`,
    )
  for (const { manager, lock, sha256 } of planned)
    output.print(`  ${manager}  would install what ${lock} says (${sha256.slice(0, 12)}…)`)
  if (planned.length > 0)
    output.print('  missing in this version: the engine for dependencies; without --dry-run this is refused')
  return EXIT.ok
}
