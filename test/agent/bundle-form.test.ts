// What a bundle is as a file: the same bytes every time, and refused wherever one of them is another.
import { mkdtemp, open as openFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BundleError } from '../../keys/bundle-error.ts'
import { openBundle } from '../../keys/bundle-source.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { collectBundle } from '../../publisher/bundle.ts'
import { tarHeader } from '../../schema/archive/tar.ts'
import { BUNDLE_INDEX, writeBundleIndex } from '../../schema/bundle.ts'
import { parseVersion } from '../../schema/version.ts'
import { pack } from '../engine/release.ts'
import { daysFrom, SimRepository } from '../sim/repository.ts'
import { type Making, makeBundle, readParts, renamedHeader, writeEntries, writeParts } from './bundle-making.ts'

let folder = ''
let good = ''
let making: Making

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-bundle-'))
  const repo = await SimRepository.create({ product: 'demo', now: new Date() })
  const { archive, artifact } = pack({ 'app.txt': 'hello' })
  await repo.release('0a1+b.2', { artifacts: [artifact] })
  making = { repo, artifacts: new Map([[String(artifact.sha256), archive]]) }
  good = await makeBundle(making, '0a1+b.2', join(folder, 'good.bundle'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const open = (file: string) => openBundle(nodeDisk, file)
const codeOf = async (file: string) => {
  const error = await open(file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof BundleError ? error.code : error
}
const changed = async (change: (bytes: Buffer) => Uint8Array) => {
  const file = join(folder, 'changed.bundle')
  await writeFile(file, change(Buffer.from(await readFile(good))))
  return file
}

test('the same content makes the same bytes, and nothing else is left in the folder', async () => {
  const other = await makeBundle(making, '0a1+b.2', join(folder, 'other.bundle'))
  expect(await readFile(other)).toEqual(await readFile(good))
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('it begins with its index, and is the public repository under repo/', async () => {
  const { files, product, version } = await readParts(good)
  expect([product, version]).toEqual(['demo', '0a1+b.2'])
  expect([...files.keys()].map((path) => path.replaceAll(/[0-9a-f]{64}/g, 'HASH'))).toEqual([
    'repo/artifacts/HASH',
    'repo/metadata/1.beta.json',
    'repo/metadata/1.release.json',
    'repo/metadata/1.root.json',
    'repo/metadata/1.targets.json',
    'repo/metadata/2.alpha.json',
    'repo/metadata/2.snapshot.json',
    'repo/metadata/timestamp.json',
    'repo/targets/alpha/0a1%2Bb.2/HASH.manifest.json',
  ])
  const bundle = await open(good)
  expect(bundle).toMatchObject({ product: 'demo', version: '0a1+b.2', versions: ['0a1+b.2'] })
  expect(bundle.bytes).toBe((await stat(good)).size)
})

test('it says which barriers it does not carry, and leaves out a less stable channel that does not verify', async () => {
  const repo = await SimRepository.create({ product: 'demo', now: new Date() })
  for (const version of ['0r1', '0r2']) await repo.release(version)
  repo.role('release').channel = {
    ...(repo.role('release').channel as object),
    barriers: [{ version: '0r1', reason: 'x' }],
  }
  repo.role('alpha').expires = daysFrom(new Date(), -1)
  await repo.publish('release', 'alpha')
  const deps = { metadata: repo, targets: repo.targets, root: repo.file('1.root.json'), startedAt: new Date() }
  const collect = (version: string, others: string[] = []) =>
    collectBundle(deps, { version: parseVersion(version), others: others.map(parseVersion), platforms: undefined })
  expect(await collect('0r2')).toMatchObject({ missingBarriers: ['0r1'], leftOut: ['alpha'] })
  expect(await collect('0r2', ['0r1'])).toMatchObject({ missingBarriers: [], leftOut: ['alpha'] })
  await repo.release('0a3')
  await expect(collect('0a3')).rejects.toMatchObject({ name: 'TrustError', code: 'expired' })
  const stranger = await SimRepository.create({ product: 'demo', now: daysFromNow(1) })
  await expect(
    collectBundle(
      { ...deps, root: stranger.file('1.root.json') },
      { version: parseVersion('0r2'), others: [], platforms: undefined },
    ),
  ).rejects.toMatchObject({ code: 'foreign' })
})

test('wherever it is cut off, it is refused', async () => {
  const { length } = await readFile(good)
  for (const end of [0, 1, 11])
    expect(await codeOf(await changed((bytes) => bytes.subarray(0, end)))).toBe('not-a-bundle')
  for (const end of [12, 511, 512, 513, 2_000, length / 2, length - 1_025, length - 1_024, length - 512, length - 1])
    expect(await codeOf(await changed((bytes) => bytes.subarray(0, end))), `${end}`).toBe('truncated')
  expect(await codeOf(await changed((bytes) => bytes))).toBeUndefined()
})

test('whichever byte is another, it is refused or plainly of another product', async () => {
  // In its place: thousands of files would be as many waits for the disk.
  const file = await changed((bytes) => bytes)
  const whole = await readFile(file)
  const writer = await openFile(file, 'r+')
  const survivors: number[] = []
  // Every byte of the first header and the index, then every eleventh: 11 is prime to the block's 512.
  const offsets = [...whole.keys()].filter((at) => at < 3_000 || at % 11 === 0)
  for (const at of offsets) {
    await writer.write(Uint8Array.of((whole[at] ?? 0) ^ (1 << (at % 7))), 0, 1, at)
    const bundle = await open(file).catch((error: unknown) => {
      if (error instanceof BundleError) return undefined
      throw error
    })
    if (bundle?.product === 'demo') survivors.push(at)
    await writer.write(whole, at, 1, at)
  }
  await writer.close()
  expect(await codeOf(file)).toBeUndefined()
  expect(survivors).toEqual([])
}, 60_000)

test('bytes after its end, a second time the same entry, an entry too many and one too few', async () => {
  expect(await codeOf(await changed((bytes) => Buffer.concat([bytes, Buffer.alloc(512)])))).toBe('damaged')
  const whole = await readFile(good)
  const start = whole.indexOf('repo/metadata/1.root.json\0', 0, 'latin1')
  const end = whole.indexOf('repo/metadata/1.targets.json\0', 0, 'latin1')
  expect(end - start).toBeGreaterThan(1_000)
  const entry = whole.subarray(start, end)
  const spliced = (at: number, upTo: number, middle: Uint8Array) =>
    changed((bytes) => Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(upTo)]))
  expect(await codeOf(await spliced(end, end, entry))).toBe('damaged')
  expect(await codeOf(await spliced(end, end + entry.length, entry))).toBe('damaged')
  expect(await codeOf(await spliced(start, end, Buffer.alloc(0)))).toBe('truncated')
  expect(await codeOf(await spliced(start, end, entry))).toBeUndefined()
})

test.each(['../etc/passwd', '/etc/passwd', 'repo/../../x', 'repo\\x', 'repo/metadata/2.root.json'])(
  'an entry called %s in the place of another is refused',
  async (name) => {
    const bytes = Buffer.from(await readFile(good))
    const at = bytes.indexOf('repo/metadata/1.root.json\0', 0, 'latin1')
    expect(at).toBeGreaterThan(0)
    bytes.set(renamedHeader(bytes.subarray(at, at + 512), name), at)
    const file = join(folder, 'renamed.bundle')
    await writeFile(file, bytes)
    expect(await codeOf(file)).toBe('damaged')
  },
)

test.each([
  ['a file outside', 'etc/passwd'],
  ['a way up', 'repo/metadata/../../x.json'],
  ['an artifact that is not called by its hash', `repo/artifacts/${'0'.repeat(64)}`],
  ['a manifest of no version', `repo/targets/alpha/zzz/${'0'.repeat(64)}.manifest.json`],
  ['a manifest in another channel’s folder', `repo/targets/beta/0a1/${'0'.repeat(64)}.manifest.json`],
])('an index that names %s is refused', async (_, path) => {
  const parts = await readParts(good)
  const listed = [...parts.files].map(([name, bytes]) => ({ path: name, length: bytes.length, sha256: '0'.repeat(64) }))
  const files = [...listed, { path, length: 1, sha256: '1'.repeat(64) }]
  const index = Buffer.from(writeBundleIndex({ product: 'demo', version: parseVersion(parts.version), files }))
  expect(await codeOf(await onlyIndex(index))).toBe('damaged')
})

test('an index of a newer form, one spelled otherwise, one without its version, one without end', async () => {
  const parts = await readParts(good)
  const text = indexOf(parts).toString()
  const index = (change: (text: string) => string) => onlyIndex(Buffer.from(change(text)))
  expect(await codeOf(await index((words) => words.replace('bundle/v1', 'bundle/v2')))).toBe('newer')
  expect(await codeOf(await index((words) => words.replace('"product": ', '"product":')))).toBe('damaged')
  expect(await codeOf(await index((words) => words.replace('"0a1+b.2"', '"0a2"')))).toBe('damaged')
  expect(await codeOf(await index((words) => words.replace('"schema"', '"more": 1,\n "schema"')))).toBe('damaged')
  expect(await codeOf(await index((words) => words.replace(/"length": \d+/, '"length": 9007199254740991')))).toBe(
    'truncated',
  )
  expect(await codeOf(await index((words) => words + ' '.repeat(2 << 20)))).toBe('too-large')
  expect(await codeOf(await index((words) => words))).toBe('truncated')
  expect(await codeOf(await writeParts(join(folder, 'same.bundle'), parts))).toBeUndefined()
  expect(await readFile(join(folder, 'same.bundle'))).toEqual(await readFile(good))
})

test('metadata beyond what a reader holds in memory is refused before it is read', async () => {
  const parts = await readParts(good)
  const files = [...parts.files].map(([path, { length }]) => ({ path, length, sha256: path.slice(-64) }))
  const huge = files.map((file) => ({
    ...file,
    sha256: /[0-9a-f]{64}/.exec(file.path)?.[0] ?? '0'.repeat(64),
    length: file.path.endsWith('1.root.json') ? 64 << 20 : file.length,
  }))
  const index = writeBundleIndex({ product: 'demo', version: parseVersion(parts.version), files: huge })
  const error = await open(await onlyIndex(Buffer.from(index))).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'damaged', message: expect.stringContaining('bytes of metadata') })
})

test('what is no file has no end: a device and a folder are refused at once', async () => {
  expect(await codeOf('/dev/zero')).toBe('not-a-bundle')
  expect(await codeOf(folder)).toBe('not-a-bundle')
  expect(await codeOf(await changed(() => Buffer.alloc(100_000, 'x')))).toBe('not-a-bundle')
  expect(await codeOf(await changed(() => pack({ 'app.txt': 'hello' }).archive))).toBe('not-a-bundle')
  await expect(open(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'not-found' })
})

test('an artifact read from a file that changed meanwhile is not had; the same file put back is', async () => {
  const file = await changed((bytes) => bytes)
  const bundle = await open(file)
  const [sha256 = ''] = making.artifacts.keys()
  const whole = await readFile(file)
  await writeFile(file, whole.subarray(0, 3_000))
  const read = (hash = sha256) => bytesOf(bundle.openArtifact(hash))
  await expect(read()).rejects.toMatchObject({ name: 'TrustError', code: 'hash' })
  await writeFile(file, whole)
  expect(await read()).toEqual(Buffer.from(making.artifacts.get(sha256) ?? []))
  await expect(read('0'.repeat(64))).rejects.toMatchObject({ code: 'missing' })
})

const daysFromNow = (days: number) => new Date(daysFrom(new Date(), days))

function indexOf({ product, version, files }: Awaited<ReturnType<typeof readParts>>): Buffer {
  const sha = (path: string) => /[0-9a-f]{64}/.exec(path)?.[0] ?? '0'.repeat(64)
  const listed = [...files].map(([path, bytes]) => ({ path, length: bytes.length, sha256: sha(path) }))
  return Buffer.from(writeBundleIndex({ product, version: parseVersion(version), files: listed }))
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

function onlyIndex(index: Uint8Array): Promise<string> {
  const header = tarHeader({ path: BUNDLE_INDEX, type: 'file', mode: 0o644, size: index.length })
  return writeEntries(join(folder, 'index.bundle'), [{ header, bytes: index }])
}
