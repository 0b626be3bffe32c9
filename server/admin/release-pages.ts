// What `netlink-admin releases …` shows. Pure. The server tells it: proof is what `netlink-publish verify` and every host look at.

import type { z } from 'zod'
import { formatBytes } from '../../schema/cli/format.ts'
import { type Column, renderFields, renderTable } from '../../schema/cli/table.ts'
import type { Release, releaseDetailShape } from '../../schema/rest.ts'
import type { Style } from './output.ts'
import { groupDigits, timeWords } from './words.ts'

export function renderReleaseList(releases: readonly Release[], style: Style): string {
  const columns: Column[] = [
    { title: 'VERSION', shrinkTo: 8 },
    { title: 'CHANNEL' },
    { title: 'RELEASED (UTC)' },
    { title: 'HOSTS', align: 'right' },
    { title: 'SIZE', align: 'right' },
    { title: 'SIGNED', align: 'right' },
    { title: 'SUMMARY', shrinkTo: 12 },
  ]
  const rows = releases.map((release) => [
    release.version,
    release.channel,
    timeWords(release.released_at).slice(0, 16),
    groupDigits(release.hosts),
    formatBytes(release.bytes),
    `${release.signed_by.length} of ${release.threshold}`,
    release.withdrawn ? `WITHDRAWN: ${release.withdrawn.reason}` : release.summary,
  ])
  return renderTable(columns, rows, style)
}

export function renderRelease(release: z.infer<typeof releaseDetailShape>, style: Style): string {
  const { withdrawn } = release
  return renderFields(
    [
      ['version', release.version],
      ['summary', release.summary],
      ['channel', release.channel],
      ['released', `${timeWords(release.released_at)} UTC`],
      ...(release.promoted_from ? [['promoted', `from ${release.promoted_from}`] as const] : []),
      ...(withdrawn ? [['withdrawn', `${withdrawn.reason} (${withdrawn.severity})`] as const] : []),
      ['platforms', release.platforms.join(', ')],
      ['size', formatBytes(release.bytes)],
      ['signed by', `${release.signed_by.length}, ${release.threshold} needed`],
      ...release.signed_by.map((keyid) => ['', keyid] as const),
      ['manifest', `sha256 ${release.manifest_sha256}`],
      ['hosts', groupDigits(release.hosts)],
    ],
    style,
  )
}
