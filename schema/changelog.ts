// The changelog of one release, `netlink.changelog/v1`: structured, part of the signed manifest, so that nothing a reader is shown was left unsigned.
// Texts are a subset of Markdown (no HTML, no images, links to http and https only). They are foreign text: only the renderers
// (changelog-text.ts) bring them to a terminal or a page.
import { z } from 'zod'
import { versionShape } from './version.ts'

/** The groups of Keep a Changelog 1.1. */
export const changeTypes = ['added', 'changed', 'deprecated', 'removed', 'fixed', 'security'] as const
export const changeTypeShape = z.enum(changeTypes)
export type ChangeType = z.infer<typeof changeTypeShape>

/** How bad the hole was that a security entry closes. */
export const severityShape = z.enum(['low', 'medium', 'high', 'critical'])

/** A day in UTC: `2026-11-23`. */
const dateShape = z.iso.date('expected a day such as 2026-11-23')
const sentence = z.string().min(1).max(2_000)
const notes = z.string().max(16_384).default('')

const security = {
  /** `CVE-2026-1234`, `GHSA-…` or an own advisory's name. */
  id: z.string().min(1).max(64).optional(),
  severity: severityShape,
}
const migration = {
  db: z.boolean().default(false),
  config: z.boolean().default(false),
  reversible: z.boolean().default(true),
}
const entry = {
  /** Names the change across promotions: the same id is the same change. */
  id: z.string().min(1).max(64).optional(),
  type: changeTypeShape,
  text: sentence,
  /** The part of the product that changed. */
  scope: z.string().min(1).max(64).optional(),
  breaking: z.boolean().default(false),
  /** Issue numbers, commit ids or addresses. */
  refs: z.array(z.string().min(1).max(512)).max(32).default([]),
}
const body = {
  summary: sentence,
  upgrade_notes: notes,
  downgrade_notes: notes,
  known_issues: z.array(sentence).max(64).default([]),
}
const MAX_ENTRIES = 256

/** One change as it was signed. */
export const changelogEntryShape = z.looseObject({
  ...entry,
  security: z.looseObject(security).optional(),
  migration: z.looseObject(migration).optional(),
})
export type ChangelogEntry = z.infer<typeof changelogEntryShape>

/** A changelog as it was signed. `previous` is null for the first release. */
export const changelogShape = z.looseObject({
  schema: z.literal('netlink.changelog/v1'),
  version: versionShape,
  previous: versionShape.nullable(),
  date: dateShape,
  ...body,
  entries: z.array(changelogEntryShape).max(MAX_ENTRIES),
})
export type Changelog = z.infer<typeof changelogShape>

/** What the engineer writes. Version and previous version are filled in at publish, and the date where it is left out. */
export const writtenChangelogShape = z.strictObject({
  $schema: z.string().optional(),
  schema: z.literal('netlink.changelog/v1').default('netlink.changelog/v1'),
  date: dateShape.optional(),
  ...body,
  entries: z
    .array(
      z.strictObject({
        ...entry,
        security: z.strictObject(security).optional(),
        migration: z.strictObject(migration).optional(),
      }),
    )
    .max(MAX_ENTRIES)
    .default([]),
})
export type WrittenChangelog = z.infer<typeof writtenChangelogShape>
