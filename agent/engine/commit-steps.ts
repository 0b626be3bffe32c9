// Steps that keep the new version: the records of it, and room for the next one.
import { raiseFloor, recordInstalled } from '../version-record.ts'
import { collect } from './collect.ts'
import { DEFAULT_KEEP } from './deps.ts'
import { timeText } from './journal.ts'
import { forgetPrepared } from './layout.ts'
import { addQuarantine, removeQuarantine } from './quarantine.ts'
import type { OpenSession } from './session.ts'
import { DONE, type StepEnd } from './step-end.ts'

/** Floor first: while there is a floor too high nothing is lost, while there is one too low an old version gets in. */
export async function commit({ deps, plan }: OpenSession): Promise<StepEnd> {
  const { disk, paths, clock } = deps
  const { manifest, from } = plan
  const installedAt = timeText(clock.now())
  await raiseFloor(deps, plan.to)
  const warnings = await recordInstalled(deps, {
    version: plan.to,
    installedAt,
    releasedAt: manifest.released_at,
    migrationRequired: manifest.database_migrations.length + manifest.config_migrations.length > 0,
    databaseVersion: manifest.database_version,
    configVersion: manifest.config_version,
  })
  const treeSha256 = plan.artifact.tree_sha256
  await removeQuarantine(disk, paths, { version: plan.to, treeSha256 })
  if (plan.kind === 'rollback' && from && from.version !== plan.to) {
    await addQuarantine(disk, paths, {
      version: from.version,
      // What was left may have the bytes of what runs now: these are no reason to stay away from them.
      ...(from.tree_sha256 === treeSha256 ? {} : { tree_sha256: from.tree_sha256 }),
      update_id: plan.update_id,
      at: installedAt,
      code: 'left',
      message: `left by a rollback to ${plan.to}`,
    })
  }
  return { facts: { warnings: [...warnings] } }
}

export async function collectOld({ deps, plan, options }: OpenSession): Promise<StepEnd> {
  const needed = plan.from ? [plan.from.number] : []
  await forgetPrepared(deps)
  await collect(deps, { keep: options.keep ?? DEFAULT_KEEP, needed, updateId: plan.update_id })
  return DONE
}
