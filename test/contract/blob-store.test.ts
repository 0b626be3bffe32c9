import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'minio'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openFsBlobStore } from '../../server/store/fs-blob-store.ts'
import { openS3BlobStore } from '../../server/store/s3-blob-store.ts'
import { describeBlobStore } from './blob-store.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-blobs-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describeBlobStore('filesystem', () => openFsBlobStore({ folder: join(folder, 'store'), random: randomBytes }), {
  largeBytes: 5 << 20,
})

describe('filesystem store', () => {
  test('what a crash left unfinished is swept when it opens, and shows in no list', async () => {
    const root = join(folder, 'crashed')
    await mkdir(join(root, '.incoming'), { recursive: true })
    await writeFile(join(root, '.incoming', 'half'), 'half')
    const store = await openFsBlobStore({ folder: root, random: randomBytes })
    expect(await readdir(join(root, '.incoming'))).toEqual([])
    for await (const { key } of store.list('')) expect.unreachable(key)
  })
})

const address = process.env.NETLINK_TEST_S3
if (address) {
  const url = new URL(address)
  const bucket = `${url.pathname.slice(1)}-${randomBytes(4).toString('hex')}`
  const options = {
    endpoint: `${url.protocol}//${url.host}`,
    bucket,
    region: 'us-east-1',
    accessKey: decodeURIComponent(url.username),
    secretKey: decodeURIComponent(url.password),
  }
  let made: Promise<void> | undefined
  const makeBucket = () => {
    const client = new Client({
      endPoint: url.hostname,
      port: Number(url.port),
      useSSL: false,
      region: options.region,
      accessKey: options.accessKey,
      secretKey: options.secretKey,
      pathStyle: true,
    })
    made ??= client.makeBucket(bucket, options.region)
    return made
  }
  describeBlobStore(
    'S3',
    async () => {
      await makeBucket()
      return openS3BlobStore(options)
    },
    { largeBytes: 40 << 20 },
  )

  describe('S3 store', () => {
    test('two prefixes of one bucket do not see each other', async () => {
      await makeBucket()
      const [one, two] = ['one/', 'two/'].map((prefix) => openS3BlobStore({ ...options, prefix }))
      await one?.put('x', Buffer.from('x'), {
        length: 1,
        sha256: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
        immutable: true,
      })
      expect(await two?.stat('x')).toBeUndefined()
      const keys: string[] = []
      for await (const { key } of one?.list('') ?? []) keys.push(key)
      expect(keys).toEqual(['x'])
    })

    test('a wrong secret, a wrong bucket and a silent address each say so', async () => {
      await makeBucket()
      await expect(openS3BlobStore({ ...options, secretKey: 'wrong' }).stat('x')).rejects.toMatchObject({
        code: 'not-permitted',
      })
      await expect(openS3BlobStore({ ...options, bucket: 'nowhere-at-all' }).ping(5_000)).rejects.toMatchObject({
        code: 'not-found',
      })
      await expect(openS3BlobStore({ ...options, endpoint: 'http://127.0.0.1:1' }).ping(5_000)).rejects.toMatchObject({
        code: 'unreachable',
      })
    })
  })
} else {
  test.skip('S3: skipped, NETLINK_TEST_S3 is not set', () => {})
}
