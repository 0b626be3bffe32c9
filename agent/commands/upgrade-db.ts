// netlink update upgrade-db: plans the migrations between two releases; there is no database engine in this version.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { parseVersion, type Version } from '../../schema/version.ts'
import { loadInstalled, loadManifest } from '../engine/layout.ts'
import { type Host, openHost } from '../host.ts'
import { withTrust } from '../trust.ts'
import type { CommandContext } from './context.ts'
import { needsEngine, nothingInstalled } from './needs-engine.ts'

interface Options {
  readonly to?: string
  readonly dryRun?: boolean
  readonly status?: boolean
}

export async function run({ machine, output, signal }: CommandContext, options: Options): Promise<ExitCode> {
  const host = await openHost(machine, signal)
  const installed = await loadInstalled(host)
  if (!installed) throw nothingInstalled()
  const current = await loadManifest(host, installed)
  const target = options.to === undefined ? current : await loadTarget(host, parseVersion(options.to))
  const pending = pendingMigrations(current, target)
  if (!options.dryRun && !options.status && pending.length > 0)
    throw needsEngine('databases', installed.version, pending)
  output.document('netlink.update.upgrade-db/v1', {
    dry_run: options.dryRun === true,
    version: target.version,
    database_version: current.database_version,
    target_database_version: target.database_version,
    migrations: pending,
    missing_engines: pending.length > 0 ? ['database_migrations'] : [],
  })
  output.print(
    `database ${current.database_version ?? 'none'} → ${target.database_version ?? 'none'} (${target.version})`,
  )
  if (pending.length === 0) output.print('nothing to do: no migration lies between')
  for (const id of pending) output.print(`  migration ${id}`)
  if (pending.length > 0)
    output.print('  missing in this version: the engine for databases; without --dry-run this is refused')
  return EXIT.ok
}

/** Of the named release, verified. */
function loadTarget(host: Host, version: Version): Promise<Manifest> {
  return withTrust(host.trust, 'refresh', async (view) => (await view.loadManifest(version)).value)
}

/** Those of the target that the running release does not have; of the running one itself, none is known to be missing. */
function pendingMigrations(current: Manifest, target: Manifest): string[] {
  const done = new Set(current.database_migrations.map((migration) => migration.id))
  const all = target.database_migrations.map((migration) => migration.id)
  return current.version === target.version ? all : all.filter((id) => !done.has(id))
}
