// What a file has to be to be a bundle, check by check and in whole words. test/agent asks what hosts do with them.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BundleError } from '../../keys/bundle-error.ts'
import { isBundle, openBundle } from '../../keys/bundle-source.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { ArchiveError } from '../../schema/archive/archive-error.ts'
import { MAX_INDEX_BYTES } from '../../schema/bundle.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import {
  ARTIFACT,
  archiveOf,
  CONTENT,
  type Entry,
  entriesOf,
  indexOf,
  MANIFEST,
  MANIFEST_FILE,
  OTHER_ARTIFACT,
  ROOT,
  sha256Of,
} from './bundle-file.ts'
import { refusalOf } from './refusal.ts'

let folder = ''
let file = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-bundle-'))
  file = join(folder, 'demo.bundle')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const GOOD = archiveOf(entriesOf(CONTENT))
const bundleOf = async (bytes: Uint8Array) => {
  await writeFile(file, bytes)
  return openBundle(nodeDisk, file)
}
const thrownBy = (act: () => Promise<unknown>): Promise<unknown> =>
  act().then(
    () => undefined,
    (error: unknown) => error,
  )
const read = async (chunks: AsyncIterable<Uint8Array>) => {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}
/** One entry of the good bundle changed. */
const withEntry = (path: string, change: (entry: Entry) => Partial<Entry>) =>
  archiveOf(entriesOf(CONTENT).map((entry) => (entry.header.path === path ? { ...entry, ...change(entry) } : entry)))
const withIndex = (index: string) => archiveOf(entriesOf(CONTENT, index))
/** Node's disk, which hands out a file in chunks of this size. */
const inChunksOf = (size: number) => ({
  ...nodeDisk,
  readChunks: async function* (path: string) {
    const bytes = await nodeDisk.readFile(path)
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  },
})

it('says what it holds', async () => {
  const bundle = await bundleOf(GOOD)
  expect(bundle).toMatchObject({
    path: file,
    bytes: GOOD.length,
    product: 'demo',
    version: '0a1',
    versions: ['0a1'],
  })
  expect(bundle.hasArtifact(sha256Of(ARTIFACT))).toBe(true)
  expect(bundle.hasArtifact(sha256Of(OTHER_ARTIFACT))).toBe(true)
  expect(bundle.hasArtifact(sha256Of(ROOT))).toBe(false)
  expect(bundle.hasArtifact(sha256Of(MANIFEST))).toBe(false)
})

it('is a source of metadata and of manifests, each from its own folder', async () => {
  const { metadata, targets } = await bundleOf(GOOD)
  expect(await metadata.load('1.root.json', ROOT.length)).toEqual(ROOT)
  expect(await metadata.load('2.root.json', 100)).toBe('missing')
  expect(await metadata.load(MANIFEST_FILE, 100)).toBe('missing')
  expect(await targets.load(MANIFEST_FILE, MANIFEST.length)).toEqual(MANIFEST)
  expect(await targets.load('1.root.json', 100)).toBe('missing')
})

it('hands out no more than was asked for', async () => {
  const { metadata } = await bundleOf(GOOD)
  const error = await thrownBy(async () => metadata.load('1.root.json', ROOT.length - 1))
  expect(error).toBeInstanceOf(PlatformError)
  expect(error).toMatchObject({
    code: 'too-large',
    message: '1.root.json: more than 9 bytes',
    facts: { path: file, limit: 9 },
  })
})

it.each([1 << 20, 700, 512, 1])('reads its artifacts anew, in chunks of %i bytes too', async (size) => {
  await writeFile(file, GOOD)
  const bundle = await openBundle(inChunksOf(size), file)
  expect(await read(bundle.openArtifact(sha256Of(ARTIFACT)))).toEqual(ARTIFACT)
  expect(await read(bundle.openArtifact(sha256Of(OTHER_ARTIFACT)))).toEqual(OTHER_ARTIFACT)
  expect(await bundle.metadata.load('1.root.json', 100)).toEqual(ROOT)
})

it('does not read on behind the artifact', async () => {
  const bundle = await bundleOf(GOOD)
  const [first = ''] = [sha256Of(ARTIFACT), sha256Of(OTHER_ARTIFACT)].sort()
  await writeFile(file, GOOD.subarray(0, GOOD.lastIndexOf('repo/metadata/1.root.json')))
  expect(sha256Of(await read(bundle.openArtifact(first)))).toBe(first)
})

it('has no artifact but those that it names', async () => {
  const bundle = await bundleOf(GOOD)
  const refusal = await refusalOf(() => read(bundle.openArtifact(sha256Of(ROOT))))
  expect(refusal).toMatchObject({
    code: 'missing',
    message: `demo.bundle holds no artifact ${sha256Of(ROOT).slice(0, 16)}…`,
    facts: { path: file },
  })
})

it('that changed while it was read is refused', async () => {
  const bundle = await bundleOf(GOOD)
  await writeFile(file, GOOD.subarray(0, 600))
  const refusal = await refusalOf(() => read(bundle.openArtifact(sha256Of(ARTIFACT))))
  expect(refusal.cause).toBeInstanceOf(ArchiveError)
  expect(refusal).toMatchObject({
    code: 'hash',
    message: 'demo.bundle changed while it was read: the archive ends before its end mark, at byte 600',
    facts: { path: file },
  })
  await rm(file)
  expect(await thrownBy(() => read(bundle.openArtifact(sha256Of(ARTIFACT))))).toMatchObject({ code: 'not-found' })
})

it('stops when it is told to, before it is open and afterwards', async () => {
  const bundle = await bundleOf(GOOD)
  const stop = AbortSignal.abort(new Error('enough'))
  const go = new AbortController().signal
  for (const act of [
    () => openBundle(nodeDisk, file, stop),
    () => read(bundle.openArtifact(sha256Of(ARTIFACT), stop)),
  ]) {
    const error = await thrownBy(act)
    expect(error).toBeInstanceOf(PlatformError)
    expect(error).toMatchObject({ code: 'cancelled', message: `${file}: cancelled`, facts: { path: file } })
    expect(error).toMatchObject({ cause: stop.reason })
  }
  expect((await openBundle(nodeDisk, file, go)).bytes).toBe(GOOD.length)
})

it('begins with the name of its index, and with nothing else', async () => {
  const begins = async (bytes: Uint8Array, disk = nodeDisk) => {
    await writeFile(file, bytes)
    return isBundle(disk, file)
  }
  expect(await begins(GOOD)).toBe(true)
  expect(await begins(Buffer.from('bundle.json\0'))).toBe(true)
  expect(await begins(Buffer.from('bundle.json'))).toBe(false)
  expect(await begins(Buffer.from('bundle.jsonl\0'))).toBe(false)
  expect(await begins(Buffer.alloc(0))).toBe(false)
  expect(await begins(Buffer.concat([Buffer.alloc(512), GOOD]), inChunksOf(512))).toBe(false)
})

const TOO_LONG = `${JSON.stringify({ schema: 'netlink.bundle/v1', pad: 'x'.repeat(MAX_INDEX_BYTES) })}`
const AT_MOST = 'x'.repeat(MAX_INDEX_BYTES)
const [FIRST = ''] = [...CONTENT.keys()].sort()
const zeros = (text: Uint8Array) => ({ bytes: Buffer.alloc(text.length) })
const schema = (form: unknown) => indexOf(CONTENT).replace('"netlink.bundle/v1"', JSON.stringify(form))
const size = GOOD.length

type Refusal = [code: string, what: string, bytes: Uint8Array, message: string | RegExp]
const refusals: readonly Refusal[] = [
  ['not-a-bundle', 'nothing', Buffer.alloc(0), 'FILE does not begin as a bundle does'],
  ['not-a-bundle', 'text', Buffer.from('hello'), 'FILE does not begin as a bundle does'],
  ['not-a-bundle', 'an empty archive', archiveOf([]), 'FILE does not begin as a bundle does'],
  [
    'not-a-bundle',
    'another archive',
    archiveOf([{ header: { path: 'app.txt', type: 'file', mode: 0o644, size: 4 }, bytes: Buffer.from('text') }]),
    'FILE does not begin as a bundle does',
  ],
  ['truncated', 'the first bytes of one', GOOD.subarray(0, 100), 'FILE ends after 100 bytes'],
  ['truncated', 'one without its last byte', GOOD.subarray(0, -1), `FILE ends after ${size - 1} of ${size} bytes`],
  [
    'damaged',
    'one with a byte too many',
    Buffer.concat([GOOD, Buffer.alloc(1)]),
    `demo.bundle: bytes behind the end of the archive, at byte ${size}`,
  ],
  [
    'damaged',
    'one with a changed checksum',
    Buffer.from(GOOD).fill('9', 150, 152),
    /^demo\.bundle: (?!undefined).{10}/,
  ],
  [
    'too-large',
    'one with a long index',
    withIndex(TOO_LONG),
    /^demo\.bundle: expected an index of at most 1048576 bytes, found 10486\d\d$/,
  ],
  [
    'damaged',
    'one with an index as long as may be',
    withIndex(AT_MOST),
    /^demo\.bundle: bundle\.json: (?!expected an index)/,
  ],
  ['damaged', 'one whose index is no JSON', withIndex('{'), /^demo\.bundle: bundle\.json: /],
  ['damaged', 'one whose index has no form', withIndex('[]'), /^demo\.bundle: bundle\.json: /],
  [
    'newer',
    'one of a later form',
    withIndex(schema('netlink.bundle/v2')),
    'demo.bundle: expected netlink.bundle/v1, found netlink.bundle/v2',
  ],
  [
    'newer',
    'one of a much later form',
    withIndex(schema('netlink.bundle/v1000')),
    'demo.bundle: expected netlink.bundle/v1, found netlink.bundle/v1000',
  ],
  ...[
    'netlink.bundle/v10000',
    'x-netlink.bundle/v2',
    'netlink.bundle/v2x',
    'netlink.bundle/vx',
    2,
    ['netlink.bundle/v2'],
  ].map(
    (form): Refusal => [
      'damaged',
      `one of the form ${JSON.stringify(form)}`,
      withIndex(schema(form)),
      /^demo\.bundle: bundle\.json: \/schema /,
    ],
  ),
  [
    'damaged',
    'one whose index is spelled otherwise',
    withIndex(JSON.stringify(JSON.parse(indexOf(CONTENT)))),
    'demo.bundle: its index is spelled otherwise',
  ],
  [
    'damaged',
    'one with a changed file',
    withEntry('repo/metadata/1.root.json', ({ bytes }) => zeros(bytes)),
    `demo.bundle: repo/metadata/1.root.json: expected sha256 ${sha256Of(ROOT).slice(0, 16)}…, found ${sha256Of(Buffer.alloc(ROOT.length)).slice(0, 16)}…`,
  ],
  [
    'damaged',
    'one with a changed artifact',
    withEntry(FIRST, ({ bytes }) => zeros(bytes)),
    new RegExp(`^demo\\.bundle: ${FIRST}: expected sha256 [0-9a-f]{16}…, found [0-9a-f]{16}…$`),
  ],
  [
    'damaged',
    'one that holds another file',
    withEntry('repo/metadata/1.root.json', ({ header }) => ({
      header: { ...header, path: 'repo/metadata/2.root.json' },
    })),
    'demo.bundle: expected repo/metadata/1.root.json (10 bytes), found repo/metadata/2.root.json (10 bytes)',
  ],
  [
    'damaged',
    'one with a program in it',
    withEntry('repo/metadata/1.root.json', ({ header }) => ({ header: { ...header, mode: 0o755 } })),
    'demo.bundle: expected repo/metadata/1.root.json (10 bytes), found repo/metadata/1.root.json (10 bytes)',
  ],
  [
    'damaged',
    'one with a file of another length',
    withEntry('repo/metadata/1.root.json', ({ header, bytes }) => ({
      header: { ...header, size: 11 },
      bytes: Buffer.concat([bytes, ROOT.subarray(0, 1)]),
    })),
    'demo.bundle: expected repo/metadata/1.root.json (10 bytes), found repo/metadata/1.root.json (11 bytes)',
  ],
  [
    'damaged',
    'one with a file where a folder should be',
    withEntry('repo', ({ header }) => ({ header: { ...header, type: 'file' } })),
    /^demo\.bundle: /,
  ],
  [
    'damaged',
    'one that ends early and is filled with zeros',
    Buffer.concat([archiveOf(entriesOf(CONTENT).slice(0, 3)), Buffer.alloc(size)]).subarray(0, size),
    /^demo\.bundle: bytes behind the end of the archive, at byte \d+$/,
  ],
  [
    'damaged',
    'one with an entry behind the last and a long name before it',
    Buffer.concat([
      archiveOf(entriesOf(CONTENT).slice(0, -1)).subarray(0, -1024),
      archiveOf([
        {
          header: { path: `repo/metadata-${'n'.repeat(190)}`, type: 'file', mode: 0o644, size: 0 },
          bytes: Buffer.alloc(0),
        },
      ]),
      Buffer.alloc(size),
    ]).subarray(0, size),
    /^demo\.bundle: /,
  ],
]

it.each(refusals)('%s: %s', async (code, _, bytes, message) => {
  const error = await thrownBy(() => bundleOf(bytes))
  expect(error).toBeInstanceOf(BundleError)
  if (!(error instanceof BundleError)) return
  expect([error.code, error.path, error.name]).toEqual([code, file, 'BundleError'])
  if (typeof message === 'string') expect(error.message).toBe(message.replace('FILE', file))
  else expect(error.message).toMatch(message)
})

it('one that has an entry more in place of its end, and one that has one fewer', async () => {
  // A folder entry is a block, and so is each of the two that end an archive: the length stays.
  const entries = entriesOf(CONTENT)
  const more: Entry = { header: { path: 'repo/zzz', type: 'directory', mode: 0o755, size: 0 }, bytes: new Uint8Array() }
  const longer = await thrownBy(() => bundleOf(archiveOf([...entries, more]).subarray(0, size)))
  expect(longer).toMatchObject({ code: 'damaged', message: 'demo.bundle: expected its end, found repo/zzz (0 bytes)' })
  const { length } = entries.at(-1)?.bytes ?? []
  expect(length).toBeLessThan(512)
  const shorter = archiveOf(entries.slice(0, -1))
  const disk = { ...nodeDisk, stat: async (path: string) => ({ ...(await nodeDisk.stat(path)), size }) }
  await writeFile(file, shorter)
  expect(await thrownBy(() => openBundle(disk, file))).toMatchObject({
    code: 'damaged',
    message: `demo.bundle: expected ${entries.length} entries, found ${entries.length - 1}`,
  })
})

it('one that is too long is refused at its index', async () => {
  const read: number[] = []
  const disk = {
    ...nodeDisk,
    readChunks: async function* (path: string) {
      for await (const chunk of inChunksOf(1024).readChunks(path)) {
        read.push(chunk.length)
        yield chunk
      }
    },
  }
  await writeFile(file, Buffer.concat([GOOD, Buffer.alloc(1)]))
  expect(await thrownBy(() => openBundle(disk, file))).toMatchObject({
    code: 'damaged',
    message: `demo.bundle: expected ${size} bytes, found ${size + 1}`,
  })
  expect(read.length).toBeLessThan(4)
})

it('names the cause', async () => {
  const causeOf = async (bytes: Uint8Array) => {
    const error = await thrownBy(() => bundleOf(bytes))
    return error instanceof Error ? error.cause : undefined
  }
  expect(await causeOf(Buffer.from('hello'))).toBeInstanceOf(ArchiveError)
  expect(await causeOf(GOOD.subarray(0, 100))).toBeInstanceOf(ArchiveError)
  expect(await causeOf(Buffer.from(GOOD).fill('9', 150, 152))).toBeInstanceOf(ArchiveError)
  expect(await causeOf(withIndex('[]'))).toBeInstanceOf(ShapeError)
  expect(await causeOf(withIndex('{'))).toMatchObject({ name: 'TrustError' })
})

it('is a file', async () => {
  const path = join(folder, 'folder.bundle')
  await mkdir(path)
  expect(await thrownBy(() => openBundle(nodeDisk, path))).toMatchObject({
    code: 'not-a-bundle',
    message: `${path}: expected a file, found a folder`,
  })
  expect(await thrownBy(() => openBundle(nodeDisk, '/dev/null'))).toMatchObject({
    code: 'not-a-bundle',
    message: '/dev/null: expected a file, found something that has no end',
  })
})
