// `config/version.json`: what runs on this host and what ran before, for people and scripts. The journal and the generations decide; this file tells.
import { z } from 'zod'
import { timeShape } from './manifest.ts'
import { parseShape } from './parse-shape.ts'
import { statusOf, type Version, versionShape, versionStatusShape } from './version.ts'

const historyEntryShape = z.looseObject({
  version: versionShape,
  release_date: timeShape,
  status: versionStatusShape,
  migration_required: z.boolean(),
  database_version: z.string().nullable(),
  config_version: z.string().nullable(),
})

/** `current_version` is null before the first installation. The history ascends by the time of the newest installation; its last entry runs now. */
export const versionJsonShape = z.looseObject({
  current_version: versionShape.nullable(),
  last_updated: timeShape.nullable(),
  history: z.array(historyEntryShape),
})
export type VersionJson = z.infer<typeof versionJsonShape>

/** The document of a host on which nothing was installed yet. */
export const emptyVersionJson: VersionJson = { current_version: null, last_updated: null, history: [] }

/** The document in a parsed `version.json`. Throws ShapeError; `subject` names the file. */
export function parseVersionJson(value: unknown, subject: string): VersionJson {
  return parseShape(versionJsonShape, value, subject)
}

/** What was installed, by an update, a downgrade or a rollback. Times as in `2026-11-23T10:00:00Z`. */
export interface Installed {
  readonly version: Version
  readonly installedAt: string
  readonly releasedAt: string
  readonly migrationRequired: boolean
  readonly databaseVersion: string | null
  readonly configVersion: string | null
}

/** The next document: the version runs now and is the history's last entry. An earlier entry of the same version gives way to the new one. */
export function applyInstalled(document: VersionJson, installed: Installed): VersionJson {
  const { version } = installed
  const entry = {
    version,
    release_date: installed.releasedAt,
    status: statusOf(version),
    migration_required: installed.migrationRequired,
    database_version: installed.databaseVersion,
    config_version: installed.configVersion,
  }
  return {
    ...document,
    current_version: version,
    last_updated: installed.installedAt,
    history: [...document.history.filter((earlier) => earlier.version !== version), entry],
  }
}
