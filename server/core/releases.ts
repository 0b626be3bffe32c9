// What was accepted, for people and programs to look at. What hosts believe they read from the signed files instead.
import { desc, eq, inArray, sql } from 'drizzle-orm'
import { parseJson } from '../../keys/json.ts'
import { counts, releases, roleDocuments, roles } from '../../schema/db/tables.ts'
import { manifestShape } from '../../schema/manifest.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import type { Release } from '../../schema/rest.ts'
import { type Channel, channels, compareStability, isVersion, type Version } from '../../schema/version.ts'
import type { Releases } from './core.ts'
import { CoreError } from './core-error.ts'
import { buildPage, CURSOR_PART, parseCursor, parseLimit } from './page.ts'
import type { Db } from './ports.ts'
import { wireTime } from './wire-time.ts'

type Row = Omit<typeof releases.$inferSelect, 'manifest'>
interface Joined {
  readonly release: Row
  readonly signedBy: string[] | null
  readonly threshold: number | null
  readonly hosts: number | null
}

const { manifest: _, ...columns } = {
  version: releases.version,
  versionOrder: releases.versionOrder,
  channel: releases.channel,
  path: releases.path,
  manifest: releases.manifest,
  manifestSha256: releases.manifestSha256,
  releasedAt: releases.releasedAt,
  promotedFrom: releases.promotedFrom,
  platforms: releases.platforms,
  bytes: releases.bytes,
  summary: releases.summary,
  withdrawn: releases.withdrawn,
  acceptedAt: releases.acceptedAt,
  published: releases.published,
}

export function buildReleases(db: Db): Releases {
  const select = () =>
    db.queries
      .select({
        release: columns,
        signedBy: roleDocuments.signedBy,
        threshold: roleDocuments.threshold,
        hosts: counts.hosts,
      })
      .from(releases)
      .leftJoin(roles, eq(roles.role, releases.channel))
      .leftJoin(
        roleDocuments,
        sql`${roleDocuments.role} = ${roles.role} and ${roleDocuments.version} = ${roles.version}`,
      )
      .leftJoin(counts, sql`${counts.dimension} = 'version' and ${counts.key} = ${releases.version}`)

  return {
    list: async (request) => {
      const limit = parseLimit(request)
      const [after] = parseCursor(request, CURSOR_PART.text) ?? []
      const conditions = [
        sql`true`,
        ...(request.channel ? [eq(releases.channel, request.channel)] : []),
        ...(after === undefined ? [] : [sql`${releases.versionOrder} < ${after}`]),
      ]
      const rows = await select()
        .where(sql.join(conditions, sql` and `))
        .orderBy(desc(releases.versionOrder))
        .limit(limit + 1)
      return buildPage(rows, limit, (row) => [row.release.versionOrder], readRelease)
    },
    show: async (version) => {
      const [row] = await select().where(eq(releases.version, version))
      const [stored] = await db.queries
        .select({ manifest: releases.manifest })
        .from(releases)
        .where(eq(releases.version, version))
      if (!row || !stored) throw new CoreError('not-found', `there is no release ${version}`)
      const manifest = parseShape(
        manifestShape,
        parseJson(stored.manifest, { subject: row.release.path }),
        row.release.path,
      )
      return { ...readRelease(row), manifest_sha256: row.release.manifestSha256, changelog: manifest.changelog }
    },
    newest: async (channel) => (await newestVersions(db))[channel],
  }
}

/** The newest version that hosts of each channel are offered; withdrawn ones are not. */
export async function newestVersions(db: Db): Promise<Record<Channel, Version | null>> {
  const rows = await db.queries
    .selectDistinctOn([releases.channel], {
      channel: releases.channel,
      version: releases.version,
      order: releases.versionOrder,
    })
    .from(releases)
    .where(sql`${inArray(releases.channel, [...channels])} and ${releases.withdrawn} is null`)
    .orderBy(releases.channel, desc(releases.versionOrder))
  const newest = (channel: Channel): Version | null => {
    const [first] = rows
      .filter((row) => compareStability(row.channel, channel) >= 0)
      .sort((a, b) => (a.order < b.order ? 1 : -1))
    return first && isVersion(first.version) ? first.version : null
  }
  return { alpha: newest('alpha'), beta: newest('beta'), release: newest('release') }
}

function readRelease({ release, signedBy, threshold, hosts }: Joined): Release {
  if (!isVersion(release.version)) throw new Error(`release ${release.version} has no version`)
  return {
    version: release.version,
    channel: release.channel,
    released_at: wireTime(release.releasedAt),
    promoted_from: release.promotedFrom && isVersion(release.promotedFrom) ? release.promotedFrom : null,
    platforms: release.platforms,
    bytes: release.bytes,
    withdrawn: release.withdrawn,
    summary: release.summary,
    signed_by: signedBy ?? [],
    threshold: threshold ?? 1,
    hosts: hosts ?? 0,
  }
}
