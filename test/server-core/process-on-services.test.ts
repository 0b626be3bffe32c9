import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { freePorts } from '../services/free-port.ts'
import { createServerFolders } from './server-folders.ts'

const { folder, server, serve, publisherOf, close } = await createServerFolders()
afterAll(close)

const postgres = process.env.NETLINK_TEST_POSTGRES
const s3 = process.env.NETLINK_TEST_S3
describe.skipIf(!postgres || !s3)(
  'on a PostgreSQL server and S3 (skipped unless NETLINK_TEST_POSTGRES and NETLINK_TEST_S3 are set)',
  () => {
    test('a server is made, serves, and is not made twice on one database', async () => {
      const { default: client } = await import('postgres')
      const { Client } = await import('minio')
      const [database, bucket] = [new URL(postgres ?? ''), new URL(s3 ?? '')]
      const name = `process_${process.pid}`
      const admin = client(database.href, { max: 1 })
      await admin.unsafe(`create database ${name}`)
      await admin.end()
      database.pathname = `/${name}`
      const [accessKey, secretKey] = [bucket.username, bucket.password].map(decodeURIComponent)
      const storage = new Client({
        endPoint: bucket.hostname,
        port: Number(bucket.port),
        useSSL: false,
        accessKey,
        secretKey,
        region: 'us-east-1',
        pathStyle: true,
      })
      await storage.makeBucket(`process-${process.pid}`, 'us-east-1')
      await writeFile(join(folder, 'db.url'), `${database.href}\n`, { mode: 0o600 })
      await writeFile(join(folder, 's3.yml'), `access_key: ${accessKey}\nsecret_key: ${secretKey}\n`, { mode: 0o600 })
      const options = [
        '--db-file',
        'db.url',
        '--storage',
        's3',
        '--s3-endpoint',
        `http://${bucket.host}`,
        '--s3-bucket',
        `process-${process.pid}`,
        '--s3-credentials',
        's3.yml',
      ]
      const made = await server('init', '--dir', 'big', ...options)
      expect(made.stderr).toBe('')
      expect(await server('init', '--dir', 'big2', ...options)).toMatchObject({
        status: 3,
        stderr: expect.stringContaining('E-DATABASE-IN-USE'),
      })
      const port = await freePorts(1)
      const child = await serve('big', port)
      const publisher = await publisherOf('big', port)
      await publisher.begin()
      expect(await publisher.publish('0a1')).toBe(200)
      expect((await publisher.refreshHost()).timestampVersion).toBe(2)
      expect(await server('doctor', '--dir', 'big')).toMatchObject({ status: 0 })
      expect(await child.stop()).toEqual({ code: 0, signal: null })
    }, 180_000)
  },
)
