// What a signing event would change, in words, against what is signed now. Complete: what is shown here is all that the documents change, so nothing is cut
// short but lists of files, and these say how many there are.
import { parseDocument } from '../../keys/document.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../keys/json.ts'
import { proposedKeys } from '../../keys/signing-event.ts'
import type { TreeEntry } from '../../schema/archive/tree-digest.ts'
import { DIRECTOR } from '../../schema/assignment.ts'
import { formatAgo, formatBytes } from '../../schema/cli/format.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { topLevelRoles } from '../../schema/metadata.ts'
import { compareVersions, isVersion, type Version } from '../../schema/version.ts'
import type { Holder } from '../config.ts'
import { differencesOf, differenceWords, spelled, visible } from '../json-difference.ts'
import type { CheckedEvent } from './check.ts'
import type { ReleaseFacts } from './expected.ts'
import { compareTrees } from './trees.ts'

/** One part of what would change: `hooks`, and a line for each place. */
export interface Section {
  readonly title: string
  readonly lines: readonly string[]
}

/** Files that `changeSections` only counts. */
export function countHidden(trees: readonly ReleaseTree[], maxFiles: number): number {
  return trees
    .flatMap(({ files, before = [] }) => Object.values(compareTrees(before, files)))
    .reduce((sum, { length }) => sum + Math.max(0, length - maxFiles), 0)
}

/** The files of a release and of the one before it; undefined where there is none before it, or it can't be had. */
export interface ReleaseTree {
  readonly platform: string
  readonly files: readonly TreeEntry[]
  readonly before: readonly TreeEntry[] | undefined
}

export interface WordsContext {
  readonly holders: readonly Holder[]
  readonly trees: readonly ReleaseTree[]
  readonly now: Date
  /** Files of each kind that are named; the others are counted. */
  readonly maxFiles: number
}

/** Every section in which something changes. */
export function changeSections(checked: CheckedEvent, context: WordsContext): readonly Section[] {
  const { release } = checked.expected
  return [
    { title: 'documents', lines: documentLines(checked) },
    ...(release === undefined ? [] : releaseSections(release, context)),
    ...(checked.event.kind === 'yank' ? [{ title: 'withdrawn', lines: withdrawnLines(checked) }] : []),
    ...(checked.event.kind === 'minimum' ? [{ title: 'minimum', lines: minimumLines(checked) }] : []),
    ...keySections(checked, context.holders),
  ].filter(({ lines }) => lines.length > 0)
}

function documentLines({ documents, before }: CheckedEvent): readonly string[] {
  return [...documents].map(([role, bytes]) => {
    const { version, expires } = parseDocument(bytes, role).signed
    const from = before.get(role)?.version
    return `${role}: ${from === undefined ? 'first version' : `v${from} -> v${version}`}, valid until ${String(expires)}`
  })
}

// ---- a release -------------------------------------------------------------------------------------------------------------------

/** Fields of a manifest that have a section of their own; every other field is told by its name. */
const TOLD = ['schema', 'product', 'version', 'channel', 'released_at', 'artifacts', 'changelog', 'promoted_from']
const TITLES: Readonly<Record<string, string>> = {
  database_migrations: 'database migrations',
  config_migrations: 'configuration migrations',
  restart_units: 'restarted units',
  self_tests: 'self-tests',
  database_version: 'database version',
  config_version: 'configuration version',
}

function releaseSections(release: ReleaseFacts, context: WordsContext): readonly Section[] {
  const { manifest, previous, source } = release
  const [after, before] = [asJson(manifest), previous === undefined ? {} : asJson(previous)]
  const names = [...new Set([...Object.keys(after), ...Object.keys(before)])].filter((name) => !TOLD.includes(name))
  return [
    { title: 'release', lines: releaseLines(release, context.now) },
    { title: 'artifacts', lines: artifactLines(manifest, previous) },
    ...context.trees.map((tree) => ({ title: filesTitle(tree), lines: fileLines(tree, context.maxFiles) })),
    ...names.map((name) => ({
      title: TITLES[name] ?? visible(name),
      lines: differencesOf(before[name], after[name]).filter(isWorthTelling).map(differenceWords),
    })),
    { title: 'changelog', lines: changelogLines(manifest, source) },
  ]
}

/** A first release has nothing to be compared with: what it leaves empty is no change. */
function isWorthTelling({ before, after }: { before: JsonValue | undefined; after: JsonValue | undefined }): boolean {
  const text = JSON.stringify(after)
  return before !== undefined || !(text === '[]' || text === '{}' || text === 'null')
}

/** What is made long ago may be old, or be passed off as old: hosts that wait with new releases count from then. */
const OLD_MS = 86_400_000

function releaseLines({ manifest, previous, source }: ReleaseFacts, now: Date): readonly string[] {
  const { product, version, channel, released_at } = manifest
  const compared = previous === undefined ? 'the first of its channel' : `compared with ${previous.version}`
  const bytes = source === undefined ? [] : [`the bytes of ${source.version}, which is ${source.channel}`]
  const made = new Date(released_at)
  const isOld = now.getTime() - made.getTime() > OLD_MS
  return [
    `${product} ${version} in ${channel}, ${compared}`,
    `made at ${released_at}`,
    ...(isOld ? [`! made ${formatAgo(made, now)}: hosts with a minimum_soak count from then`] : []),
    ...bytes,
  ]
}

function artifactLines(manifest: Manifest, previous: Manifest | undefined): readonly string[] {
  const before = new Map(previous?.artifacts.map((artifact) => [artifact.platform, artifact]))
  const now = manifest.artifacts.map((artifact) => {
    const old = before.get(artifact.platform)
    const was = old === undefined ? '' : `, was ${formatBytes(old.length)}`
    const sign = old === undefined ? '+' : old.sha256 === artifact.sha256 ? '=' : '~'
    return `${sign} ${artifact.platform}: ${formatBytes(artifact.length)}${was}, sha256 ${artifact.sha256}`
  })
  const gone = [...before.keys()].filter((platform) => !manifest.artifacts.some((one) => one.platform === platform))
  return [...now, ...gone.map((platform) => `- ${platform}: no longer there`)]
}

function filesTitle({ platform, before }: ReleaseTree): string {
  return `files${platform === 'any' ? '' : ` for ${platform}`}${before === undefined ? ' (all of them: there is nothing to compare with)' : ''}`
}

function fileLines({ files, before = [] }: ReleaseTree, most: number): readonly string[] {
  const { added, removed, changed } = compareTrees(before, files)
  const isFile = ({ type }: TreeEntry) => type === 'file'
  const sizes = (from: TreeEntry, to: TreeEntry) =>
    from.size === to.size ? formatBytes(to.size) : `${formatBytes(from.size)} -> ${formatBytes(to.size)}`
  const rights = (from: TreeEntry, to: TreeEntry) =>
    from.mode === to.mode && from.type === to.type ? '' : `, ${kindWords(from)} -> ${kindWords(to)}`
  const count = files.filter(isFile).length
  const total = `${count} file${count === 1 ? '' : 's'}, ${added.length} added, ${changed.length} changed, ${removed.length} removed`
  return [
    total,
    ...limited(added, most, (one) => `+ ${visible(one.path)} (${kindWords(one)}, ${formatBytes(one.size)})`),
    ...limited(
      changed,
      most,
      ({ before: from, after: to }) => `~ ${visible(to.path)} (${sizes(from, to)}${rights(from, to)})`,
    ),
    ...limited(removed, most, (one) => `- ${visible(one.path)}`),
  ]
}

function kindWords({ type, mode }: TreeEntry): string {
  return type === 'directory' ? 'folder' : mode === 0o755 ? 'program' : 'file'
}

function limited<T>(items: readonly T[], most: number, words: (item: T) => string): readonly string[] {
  const more = items.length - most
  return [...items.slice(0, most).map(words), ...(more > 0 ? [`… and ${more} more (--all-files names them)`] : [])]
}

function changelogLines({ changelog }: Manifest, source: Manifest | undefined): readonly string[] {
  const { schema: _schema, version: _version, previous: _previous, ...said } = changelog
  const { entries, summary, ...more } = said
  const rest = Object.entries(more).filter(([, value]) => value !== '' && JSON.stringify(value) !== '[]')
  const same = source !== undefined && differencesOf(textOf(source), textOf({ changelog })).length === 0
  return [
    ...(source === undefined
      ? []
      : [same ? `as that of ${source.version}` : `another one than that of ${source.version}`]),
    visible(summary),
    ...entries.map((entry) => entryWords(asJson(entry))),
    ...rest.map(([name, value]) => `${visible(name)}: ${spelled(asValue(value))}`),
  ]
}

function textOf({ changelog }: Pick<Manifest, 'changelog'>): JsonObject {
  return asJson({ ...changelog, version: null, previous: null })
}

function entryWords({ type, text, ...more }: JsonObject): string {
  const rest = Object.entries(more).filter(([, value]) => value !== false && JSON.stringify(value) !== '[]')
  const facts = rest.length === 0 ? '' : ` ${spelled(Object.fromEntries(rest))}`
  return `${visible(String(type))}: ${visible(String(text))}${facts}`
}

// ---- withdrawals, keys -----------------------------------------------------------------------------------------------------------

function withdrawnLines({ documents, before }: CheckedEvent): readonly string[] {
  return [...documents].flatMap(([role, bytes]) =>
    differencesOf(withdrawnOf(before.get(role)), withdrawnOf(parseDocument(bytes, role).signed)).map(
      ({ before: was, after }) => withdrawalWords(was, after),
    ),
  )
}

/** By version, so that one that goes does not move the others. */
function withdrawnOf(signed: JsonObject | undefined): JsonObject {
  const facts = signed?.channel
  const list = isJsonObject(facts) && Array.isArray(facts.withdrawn) ? facts.withdrawn : []
  return Object.fromEntries(
    list.map((entry) => [isJsonObject(entry) ? String(entry.version) : '', JSON.stringify(entry)]),
  )
}

/** What new hosts may begin with. */
function minimumLines({ documents, before }: CheckedEvent): readonly string[] {
  return [...documents].flatMap(([role, bytes]) => {
    const [was, now] = [minimumOf(before.get(role)), minimumOf(parseDocument(bytes, role).signed)]
    if (was === now || now === null) return []
    const isLower = was !== null && compareVersions(now, was) < 0
    return [
      `${role}: new hosts begin with ${now} or later, ${was === null ? 'with anything until now' : `${was} until now`}`,
      ...(isLower ? [`! ${role}: lower than before`] : []),
    ]
  })
}

function minimumOf(signed: JsonObject | undefined): Version | null {
  const facts = signed?.channel
  const minimum = isJsonObject(facts) ? facts.minimum : undefined
  return typeof minimum === 'string' && isVersion(minimum) ? minimum : null
}

function withdrawalWords(was: JsonValue | undefined, after: JsonValue | undefined): string {
  if (after === undefined) return `offered again: ${visible(String(was))}`
  return `${was === undefined ? 'withdrawn' : 'withdrawn anew'}: ${visible(String(after))}`
}

function keySections({ documents, before }: CheckedEvent, holders: readonly Holder[]): readonly Section[] {
  const sectionOf = (role: 'root' | 'targets') => {
    const bytes = documents.get(role)
    const old = before.get(role)
    if (bytes === undefined || old === undefined) return []
    const signed = parseDocument(bytes, role).signed
    return [
      { title: `keys in ${role}`, lines: keyLines(old, signed, holders) },
      { title: `names of keys in ${role}`, lines: nameLines(old, signed, holders) },
    ]
  }
  return [...sectionOf('root'), ...sectionOf('targets')]
}

function keyLines(before: JsonObject, after: JsonObject, holders: readonly Holder[]): readonly string[] {
  const names = [...new Set([...rolesIn(before), ...rolesIn(after)])]
  return [
    ...names.flatMap((role) => roleLines(role, before, after, holders)),
    ...differencesOf(withoutKeys(before), withoutKeys(after)).map(differenceWords),
  ]
}

function rolesIn(signed: JsonObject): readonly string[] {
  if (signed._type === 'root') return topLevelRoles
  return delegatedRoles(signed).map(({ name }) => String(name))
}

function delegatedRoles(signed: JsonObject): readonly JsonObject[] {
  const { delegations } = signed
  const roles = isJsonObject(delegations) && Array.isArray(delegations.roles) ? delegations.roles : []
  return roles.filter(isJsonObject)
}

function roleLines(role: string, before: JsonObject, after: JsonObject, holders: readonly Holder[]): readonly string[] {
  const was = rolesIn(before).includes(role) ? proposedKeys(before, role) : undefined
  const now = rolesIn(after).includes(role) ? proposedKeys(after, role) : undefined
  if (now === undefined) return [`- ${visible(role)} is delegated to nobody any more`]
  const [old, fresh] = [was?.keys ?? [], now.keys]
  const nobody = isOnline(role) ? 'for a server: compare it with netlink-server keys list' : 'nobody is named'
  const named = (keyid: string) => keyWords(keyid, holders, [before, after], nobody)
  const added = fresh.filter(({ keyid }) => !old.some((key) => key.keyid === keyid))
  const removed = old.filter(({ keyid }) => !fresh.some((key) => key.keyid === keyid))
  const threshold =
    was?.threshold === now.threshold ? [] : [`${was?.threshold ?? 0} -> ${now.threshold} of ${fresh.length}`]
  const changes = [
    ...added.map(({ keyid }) => `+ ${visible(role)}: ${named(keyid)}`),
    ...removed.map(({ keyid }) => `- ${visible(role)}: ${named(keyid)}`),
    ...threshold.map((words) => `~ ${visible(role)}: threshold ${words}`),
  ]
  const noneToSpare = changes.length > 0 && fresh.length > 1 && now.threshold >= fresh.length
  return noneToSpare ? [...changes, `! ${visible(role)}: every key is needed, so one lost key ends it`] : changes
}

/** Roles that a server signs for: nobody's name belongs beside their keys. */
function isOnline(role: string): boolean {
  return role === 'snapshot' || role === 'timestamp' || role === DIRECTOR
}

/** What a document calls people is no more than what it says of them: a name that this folder knows better has a warning. */
function nameLines(before: JsonObject, after: JsonObject, holders: readonly Holder[]): readonly string[] {
  const [old, now] = [namesIn(before), namesIn(after)]
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((keyid) => {
    const [was, name] = [old[keyid], now[keyid]]
    if (was === name) return []
    const key = `key ${visible(keyid)}`
    if (name === undefined) return [`- ${key}: no longer said to be ${spelled(was)}`]
    const known = holderOf(keyid, holders)?.name
    const isOther = known === undefined && holders.some((holder) => holder.name === name)
    const said = `${key}: said to be ${spelled(name)}${was === undefined ? '' : `, ${spelled(was)} until now`}${isOther ? ', whom this folder knows by another key' : ''}`
    const changed = was === undefined ? `+ ${said}` : `~ ${said}`
    return known === undefined || known === name ? [changed] : [changed, `! ${key} is ${known}'s by this folder`]
  })
}

function namesIn({ key_names: names }: JsonObject): JsonObject {
  return isJsonObject(names) ? names : {}
}

function holderOf(keyid: string, holders: readonly Holder[]): Holder | undefined {
  return holders.find(({ keys }) => Object.values(keys).includes(keyid))
}

/** The whole id: a name is only what this folder calls it. */
function keyWords(keyid: string, holders: readonly Holder[], documents: readonly JsonObject[], nobody: string): string {
  const holder = holderOf(keyid, holders)
  if (holder !== undefined) return `${holder.name}, key ${keyid}`
  const said = documents.map((one) => namesIn(one)[keyid]).find((name) => typeof name === 'string')
  return said === undefined ? `key ${keyid} (${nobody})` : `key ${keyid} (said to be ${visible(said)}'s)`
}

/** What else a root or targets says, its delegated paths among it: shown wherever it differs. */
function withoutKeys(signed: JsonObject): JsonObject {
  const {
    version: _version,
    expires: _expires,
    keys: _keys,
    key_names: _names,
    delegations: _delegations,
    ...rest
  } = signed
  if (signed._type !== 'root') {
    const roles = delegatedRoles(signed).map(({ keyids: _keyids, threshold: _threshold, ...role }) => [
      String(role.name),
      role,
    ])
    return { ...rest, delegations: Object.fromEntries(roles) }
  }
  const roles = Object.entries(isJsonObject(signed.roles) ? signed.roles : {}).map(([name, role]) => {
    const { keyids: _keyids, threshold: _threshold, ...facts } = isJsonObject(role) ? role : {}
    return [name, facts] as const
  })
  return { ...rest, roles: Object.fromEntries(roles) }
}

function asJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value))
}

function asValue(value: unknown): JsonValue {
  return JSON.parse(JSON.stringify(value ?? null))
}
