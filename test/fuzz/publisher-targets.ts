// What a publisher's folder holds, what other people's machines bring into it, and how what they propose is shown before it is signed.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parseDocument } from '../../keys/document.ts'
import { fileNameOf } from '../../keys/file-trust-store.ts'
import { isJsonArray, parseJson } from '../../keys/json.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { eventDocuments, eventIdOf, signatureNeeds, signerOf } from '../../keys/signing-event.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { layoutOf, loadConfig, saveHolders } from '../../publisher/config.ts'
import { loadAborted } from '../../publisher/event/store.ts'
import { parseTree, treeText } from '../../publisher/event/trees.ts'
import { differencesOf, differenceWords, visible } from '../../publisher/json-difference.ts'
import { loadPending, type Pending, savePending } from '../../publisher/pending.ts'
import { PublishError } from '../../publisher/publish-error.ts'
import { changelogShape, writtenChangelogShape } from '../../schema/changelog.ts'
import { lintChangelog } from '../../schema/changelog-lint.ts'
import { mergeChangelogs } from '../../schema/changelog-merge.ts'
import { changelogJson, changelogMarkdown, changelogText } from '../../schema/changelog-text.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { carriedEventShape } from '../../schema/signing-event.ts'
import { parseStrict } from '../../schema/strict-shape.ts'
import { parseVersion } from '../../schema/version.ts'
import { createSimDisk } from '../sim/disk.ts'
import { keyid, ROOT, signed, TARGETS } from './known-key.ts'
import { OBEYED, same, type Target, textOf } from './target.ts'

const FOLDER = '/pub'
const layout = layoutOf(FOLDER)
const VERSION = parseVersion('0a2')
const root = trustRoot(signed(ROOT))
const base = { root, targets: verifyRole(root, 'targets', roleTypes.targets, signed(TARGETS)) }

/** Parsers in publisher/ and what they share with the server. */
export const publisherTargets: readonly Target[] = [
  {
    name: 'publisher-config',
    form: 'text',
    tokens: [
      'schema:',
      'holders:',
      '- name:',
      'keys:',
      'server:',
      'keyring:',
      '&a ',
      '*a',
      '<<: ',
      '? ',
      '{',
      '}',
      '#',
    ],
    refusals: [ShapeError, PublishError, PlatformError],
    read: async (input) => {
      const disk = createSimDisk({ files: { [layout.config]: input } })
      const config = await loadConfig(disk, FOLDER, {}, '/')
      same('an address without an end', config.server.endsWith('/'), false)
      await saveHolders(disk, FOLDER, config.holders)
      same('written and read again', isDeepStrictEqual(await loadConfig(disk, FOLDER, {}, '/'), config), true)
      return config.holders.length
    },
  },
  {
    name: 'pending',
    form: 'json',
    tokens: ['version', 'subject', 'root-2', '0a2', 'roles', 'alpha', 'manifest', 'artifacts', 'sha256', 'length'],
    refusals: [ShapeError, TrustError, PlatformError],
    read: async (input) => {
      const below = join(layout.pending, VERSION)
      const disk = createSimDisk({
        files: {
          [join(below, 'pending.json')]: input,
          [join(below, 'role-alpha.json')]: signed(TARGETS),
          [join(below, 'manifest')]: '{}',
        },
      })
      const pending = await loadPending(disk, layout.pending, VERSION)
      if (pending === undefined) return 'none'
      await savePending(disk, layout.pending, pending)
      same('written and read again', spelled(await loadPending(disk, layout.pending, VERSION)), spelled(pending))
      return pending.change.documents.size
    },
  },
  {
    name: 'aborted-event',
    form: 'json',
    tokens: ['at', 'reason', '2026-11-23T10:00:00Z'],
    refusals: [ShapeError, TrustError],
    read: async (input) => {
      const disk = createSimDisk({ files: { [join(layout.events, 'e_1.aborted.json')]: input } })
      return (await loadAborted(disk, layout.events, 'e_1'))?.reason.length
    },
  },
  {
    name: 'signing-event',
    form: 'json',
    tokens: ['schema', 'subject', 'kind', 'release', 'root-', 'documents', 'repository', 'targets', 'root', '0a1'],
    refusals: [TrustError, ShapeError],
    read: (input) => {
      const event = parseShape(carriedEventShape, parseJson(input), 'event')
      const again = parseShape(carriedEventShape, parseJson(Buffer.from(JSON.stringify(event))), 'event')
      same('one name', eventIdOf(again), eventIdOf(event))
      const documents = eventDocuments(event)
      const needs = signatureNeeds(base, documents)
      const signers = [...documents].flatMap(([role, bytes]) => {
        const document = parseDocument(bytes, role)
        return document.signatures.map((one) => signerOf(document, needs.get(role) ?? [], one)?.keyid)
      })
      for (const signer of signers) if (signer !== undefined) same('the only key that signed', signer, keyid)
      return `${documents.size} ${signers.length}`
    },
  },
  {
    name: 'tree-listing',
    form: 'text',
    tokens: ['directory 0755 ', 'file 0644 ', 'file 0755 ', '0 ', '../', '\n', 'netlink.tree'],
    refusals: [PublishError],
    read: (input) => {
      const text = textOf(input)
      const entries = parseTree(text, createHash('sha256').update(text).digest('hex'))
      same('listed again', treeText(entries), text)
      for (const { path } of entries) same('below the tree', join('/tree', path), `/tree/${path}`)
      return entries.length
    },
  },
  {
    name: 'proposed-change',
    form: 'json',
    tokens: ['targets', 'custom', '/', '~', '\u200b', '\u202e', '\u00a0', '\u001b[31m', '\\u{'],
    refusals: [TrustError],
    read: (input) => {
      const sides = parseJson(input)
      const [before, after] = isJsonArray(sides) ? sides : [sides]
      same('nothing differs from itself', differencesOf(after, after).length, 0)
      const forth = differencesOf(before, after)
      same('as much there as back', differencesOf(after, before).length, forth.length)
      const words = forth.map(differenceWords)
      for (const line of words) same('everything is seen', visible(line), line)
      return words.length
    },
  },
  {
    name: 'changelog',
    form: 'json',
    tokens: [
      'summary',
      'entries',
      'type',
      'added',
      'text',
      'security',
      'severity',
      'highlights',
      '\u001b[2J',
      '\u202e',
    ],
    refusals: [TrustError, ShapeError],
    read: (input) => {
      const written = parseStrict(writtenChangelogShape, parseJson(input), 'changelog.json')
      const dated = { date: '2026-11-23', ...written, version: VERSION, previous: null }
      const changelog = parseShape(changelogShape, dated, 'changelog')
      const merged = mergeChangelogs([changelog, changelog])
      const withdrawn = new Map([[VERSION, { reason: changelog.summary }]])
      const text = changelogText(merged, withdrawn, { color: false, width: 80 })
      const shown = `${text}${changelogMarkdown(merged, withdrawn)}`
      same('nothing that a terminal would obey', OBEYED.exec(shown)?.[0], undefined)
      const json = changelogJson(merged, withdrawn)
      same('nothing in JSON either', OBEYED.exec(Object.values(json.releases[0] ?? {}).join('')), null)
      return lintChangelog(written, { database: false, config: false }).length
    },
  },
  {
    name: 'role-file-name',
    form: 'text',
    tokens: ['\n', '..', '/', '.json', '%41', 'A', '\0', '%sha256-'],
    refusals: [],
    read: (input) => {
      const [one = '', other = ''] = textOf(input).split('\n')
      const [name, another] = [one, other].map((role) => fileNameOf(`${role}.json`))
      same('one name in the folder', /^[^/\0]{1,255}$/.test(name ?? '') && join('/trust', name ?? '') !== '/', true)
      const isSame = name?.toLowerCase() === another?.toLowerCase()
      if (one !== other && one.isWellFormed() && other.isWellFormed()) same('one file for one role', isSame, false)
      return name === `${one}.json`
    },
  },
]

function spelled(pending: Pending | undefined): string {
  const { documents = [], manifests = [] } = pending?.change ?? {}
  const contents = [...documents, ...manifests].map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')])
  return JSON.stringify([contents, pending?.subject, pending?.signedAt, pending?.artifacts])
}
