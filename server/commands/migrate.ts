// `netlink-server migrate status|plan|up`: the database's tables.
import { renderTable } from '../../schema/cli/table.ts'
import { loadConfig, serverPaths } from '../config.ts'
import type { Db } from '../core/ports.ts'
import { ensureDirectorKey } from '../director-key.ts'
import { openDb } from '../open-server.ts'
import {
  applyMigrations,
  loadMigrations,
  type Migration,
  type MigrationState,
  readMigrations,
} from '../store/migrate.ts'
import { type Answer, buildLog, type Machine, type SharedOptions } from './context.ts'

/** Which migrations ran and which did not. */
export async function migrationStatus(machine: Machine, options: SharedOptions): Promise<Answer> {
  const { applied, newer, pending } = await onDatabase(machine, options, (db, known) => readMigrations(db, known))
  const rows = [
    ...applied.map(({ id, appliedAt, breaking }) => [
      id,
      kind(breaking),
      newer.some((one) => one.id === id) ? `ran ${appliedAt}, not known here` : `ran ${appliedAt}`,
    ]),
    ...pending.map(({ id, breaking }) => [id, kind(breaking), 'pending']),
  ]
  const titles = ['MIGRATION', 'KIND', 'STATE'].map((title) => ({ title }))
  return {
    schema: 'netlink.server.migrate.status/v1',
    fields: describeState({ applied, newer, pending }),
    text: renderTable(titles, rows, { color: machine.color, width: machine.columns }),
  }
}

/** The SQL that `up` would run. */
export async function migrationPlan(machine: Machine, options: SharedOptions): Promise<Answer> {
  const { pending } = await onDatabase(machine, options, (db, known) => readMigrations(db, known))
  const text = pending.map((migration) => `-- ${migration.id}\n${migration.sql}`).join('\n')
  return {
    schema: 'netlink.server.migrate.plan/v1',
    fields: { pending: pending.map(({ id, sql, breaking }) => ({ id, breaking, sql })) },
    text: text || 'nothing is pending\n',
  }
}

/** Runs what is pending, all or nothing. */
export async function migrateUp(machine: Machine, options: SharedOptions): Promise<Answer> {
  const ran = await onDatabase(machine, options, (db, known) => applyMigrations(db, known))
  await ensureDirectorKey(machine.disk, serverPaths(options.dir).onlineKeys)
  const names = ran.map(({ id }) => id)
  return {
    schema: 'netlink.server.migrate.up/v1',
    fields: { applied: names },
    text: names.length === 0 ? 'nothing was pending\n' : `ran ${names.join(', ')}\n`,
  }
}

async function onDatabase<T>(
  machine: Machine,
  options: SharedOptions,
  work: (db: Db, known: readonly Migration[]) => Promise<T>,
): Promise<T> {
  const config = await loadConfig(machine.disk, options.dir, { environment: machine.environment })
  const db = await openDb(config, { ...machine, log: buildLog(machine, 'warn'), owner: 'netlink-server migrate' })
  try {
    await db.ping(10_000)
    return await work(db, await loadMigrations())
  } finally {
    await db.close()
  }
}

function describeState({ applied, newer, pending }: MigrationState): object {
  return {
    applied: applied.map(({ id, breaking, appliedAt }) => ({ id, breaking, applied_at: appliedAt })),
    pending: pending.map(({ id, breaking }) => ({ id, breaking })),
    newer: newer.map(({ id }) => id),
  }
}

function kind(breaking: boolean): string {
  return breaking ? 'breaking' : 'compatible'
}
