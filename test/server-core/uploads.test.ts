import { createHash } from 'node:crypto'
import { readdir, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { sweepOld } from '../../server/core/retention.ts'
import { buildUploads } from '../../server/core/uploads.ts'
import { BY, type CoreWorld, coreWorld } from './world.ts'

const bytes = Buffer.from('0123456789'.repeat(1_000))
const sha256 = createHash('sha256').update(bytes).digest('hex')
const append = (
  world: CoreWorld,
  offset: number,
  body: Parameters<CoreWorld['core']['publication']['appendUpload']>[1]['body'],
  length = bytes.length,
) => world.core.publication.appendUpload(sha256, { offset, length, body }, BY)
const spool = (world: CoreWorld) => readdir(join(world.folder, 'spool'))

describe('uploads', () => {
  test('grow chunk by chunk and show only when they are whole', async () => {
    await using world = await coreWorld()
    const { publication, repository } = world.core
    expect(await publication.uploadState(sha256)).toEqual({ sha256, length: null, received: 0, complete: false })
    expect(await append(world, 0, bytes.subarray(0, 4_000))).toMatchObject({ received: 4_000, complete: false })
    expect(await publication.uploadState(sha256)).toEqual({
      sha256,
      length: bytes.length,
      received: 4_000,
      complete: false,
    })
    expect(await repository.stat(`artifacts/${sha256}`)).toBeUndefined()
    expect(await append(world, 4_000, bytes.subarray(4_000))).toEqual({
      sha256,
      length: bytes.length,
      received: bytes.length,
      complete: true,
    })
    expect(await repository.stat(`artifacts/${sha256}`)).toMatchObject({ size: bytes.length, immutable: true })
    expect(await spool(world)).toEqual([])
    expect(await append(world, 0, bytes)).toMatchObject({ complete: true })
  })

  test('a chunk that does not continue is refused with the place where it stands', async () => {
    await using world = await coreWorld()
    await append(world, 0, bytes.subarray(0, 100))
    for (const offset of [0, 50, 101])
      await expect(append(world, offset, bytes.subarray(offset))).rejects.toMatchObject({
        code: 'offset',
        facts: { expected: '100' },
      })
    expect(await append(world, 100, bytes.subarray(100))).toMatchObject({ complete: true })
  })

  test('a connection that breaks keeps what came', async () => {
    await using world = await coreWorld()
    const broken = async function* () {
      yield bytes.subarray(0, 3_000)
      throw new Error('hung up')
    }
    await expect(append(world, 0, broken())).rejects.toThrow(/hung up/)
    expect(await world.core.publication.uploadState(sha256)).toMatchObject({ received: 3_000 })
    expect(await append(world, 3_000, bytes.subarray(3_000))).toMatchObject({ complete: true })
  })

  test('bytes that hash to something else are thrown away, and the right ones are taken', async () => {
    await using world = await coreWorld()
    await expect(append(world, 0, Buffer.alloc(bytes.length))).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'hash', expected: sha256 },
    })
    expect(await world.core.publication.uploadState(sha256)).toMatchObject({ received: 0 })
    expect(await append(world, 0, bytes)).toMatchObject({ complete: true })
  })

  test('more bytes than announced are refused', async () => {
    await using world = await coreWorld()
    await append(world, 0, bytes.subarray(0, 10))
    await expect(append(world, 10, bytes)).rejects.toMatchObject({ code: 'too-large' })
    expect(await world.core.publication.uploadState(sha256)).toMatchObject({ received: 10 })
    expect(await append(world, 10, bytes.subarray(10))).toMatchObject({ complete: true })
  })

  test('two senders of one artifact do not write into each other', async () => {
    await using world = await coreWorld()
    const outcomes = await Promise.allSettled([
      append(world, 0, bytes.subarray(0, 6_000)),
      append(world, 0, bytes.subarray(0, 6_000)),
    ])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await append(world, 6_000, bytes.subarray(6_000))).toMatchObject({ complete: true })
  })

  test('another length starts again; names and lengths that cannot be are refused', async () => {
    await using world = await coreWorld()
    await append(world, 0, Buffer.alloc(5), 999)
    expect(await append(world, 0, bytes)).toMatchObject({ complete: true })
    for (const name of ['', 'x'.repeat(64), '../'.repeat(21), sha256.toUpperCase()]) {
      await expect((async () => world.core.publication.uploadState(name))()).rejects.toMatchObject({ code: 'invalid' })
    }
    for (const length of [0, -1, 1.5, Number.NaN])
      await expect((async () => append(world, 0, bytes, length))()).rejects.toMatchObject({ code: 'invalid' })
    await expect((async () => append(world, 0, bytes, 2 ** 40))()).rejects.toMatchObject({ code: 'too-large' })
  })

  test('a crash between the last byte and its check is made up for', async () => {
    await using world = await coreWorld()
    await append(world, 0, bytes.subarray(0, 10))
    const [name = ''] = await spool(world)
    await writeFile(join(world.folder, 'spool', name), bytes)
    expect(await world.core.publication.uploadState(sha256)).toMatchObject({ complete: true })
  })

  test('what lies in storage and is not known is hashed and taken in; what is damaged there is not', async () => {
    await using world = await coreWorld()
    await append(world, 0, bytes)
    await world.db.queries.execute(sql`delete from artifacts`)
    expect(await world.core.publication.uploadState(sha256)).toMatchObject({ complete: true })
    await truncate(join(world.folder, 'storage', 'repo', 'artifacts', sha256), 10)
    expect(await world.core.publication.uploadState(sha256)).toMatchObject({ complete: false })
    expect(await append(world, 0, bytes)).toMatchObject({ complete: true })
  })

  test('what nobody goes on with is swept after a week', async () => {
    await using world = await coreWorld()
    await append(world, 0, bytes.subarray(0, 10))
    const { db, clock, blobs, folder } = world
    const uploads = buildUploads({ db, clock, blobs, disk: nodeDisk, spoolFolder: join(folder, 'spool') })
    const [name = ''] = await spool(world)
    await utimes(join(folder, 'spool', name), clock.now(), clock.now())
    const log = () => {}
    clock.advance({ days: 6 })
    await sweepOld({ db, clock, log, uploads })
    expect(await spool(world)).toHaveLength(1)
    clock.advance({ days: 2 })
    await sweepOld({ db, clock, log, uploads })
    expect(await spool(world)).toEqual([])
  })
})

describe('the published files', () => {
  test.each([
    'metadata/../../secret',
    'metadata',
    'metadata/',
    '/metadata/x',
    'metadata/a/b',
    'secrets/x',
    'artifacts',
    'artifacts/%2e%2e',
    'metadata/%zz',
    '',
    '..',
    'metadata/.x',
    'targets/x',
  ])('%j is no file', async (path) => {
    await using world = await coreWorld()
    expect(await world.core.repository.stat(path)).toBeUndefined()
  })

  test('a build id may be spelled with a plus or encoded', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1+fix.1')
    const file = await (await world.follow()).findTarget('alpha/0a1+fix.1/manifest.json')
    const name = `${file.hashes.get('sha256')}.manifest.json`
    for (const version of ['0a1+fix.1', '0a1%2Bfix.1', '0a1%2bfix.1']) {
      expect(await world.core.repository.stat(`targets/alpha/${version}/${name}`)).toMatchObject({
        immutable: true,
        contentType: 'application/json',
      })
    }
    expect(await world.core.repository.stat('metadata/timestamp.json')).toMatchObject({ immutable: false })
  })
})
