import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, chmod, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { verifyArtifact } from '../../publisher/artifact-check.ts'
import { packSource } from '../../publisher/pack.ts'
import { PublishError } from '../../publisher/publish-error.ts'
import type { TreeRules } from '../../publisher/tree.ts'
import { type TreeFile, tempFolder, writeTree } from './folder.ts'

const run = promisify(execFile)
const nobody: TreeRules = { isExcluded: () => false, isAllowedSecret: () => false }
const APP = {
  'bin/app': { content: '#!/bin/sh\necho hello\n', mode: 0o755 },
  'lib/a.txt': 'a',
  'lib/b.txt': 'b',
  'release.json': '{}',
}

describe('packing', () => {
  test('gives the same bytes whatever the order, times and umask of creation', async () => {
    const first = await packed(APP)
    const second = await packed(Object.fromEntries(Object.entries(APP).reverse()), async (folder) => {
      await utimes(join(folder, 'lib/a.txt'), 1, 1)
      await chmod(join(folder, 'lib/b.txt'), 0o600)
      await chmod(join(folder, 'bin/app'), 0o700)
      await chmod(join(folder, 'lib'), 0o700)
    })
    expect(second.artifact).toEqual(first.artifact)
    expect(await readFile(second.file)).toEqual(await readFile(first.file))
  })

  test('gives other bytes for one byte, one name or one program bit', async () => {
    const digest = async (files: Record<string, TreeFile>) => (await packed(files)).artifact.sha256
    const original = await digest(APP)
    expect(await digest({ ...APP, 'lib/a.txt': 'A' })).not.toBe(original)
    expect(await digest({ ...APP, 'lib/c.txt': '' })).not.toBe(original)
    expect(await digest({ ...APP, 'lib/a.txt': { content: 'a', mode: 0o755 } })).not.toBe(original)
  })

  test('does not depend on how the disk hands out the bytes', async () => {
    const folder = await tempFolder()
    await writeTree(folder, { big: noise(3_000_000), small: 'x' })
    const whole = await packSource({ disk: nodeDisk }, source(folder), join(await tempFolder(), 'out'))
    const crumbs = await packSource(
      { disk: inCrumbs(nodeDisk, 7_777) },
      source(folder),
      join(await tempFolder(), 'out'),
    )
    expect(crumbs.artifact).toEqual(whole.artifact)
  })

  test('leaves release.json and what is excluded out, folders with all they hold', async () => {
    const files = { ...APP, 'debug/x.map': '1', 'lib/a.map': '2' }
    const isExcluded = (path: string) => path === 'debug' || path === 'lib/a.map'
    const { hashes } = await packed(files, undefined, { ...nobody, isExcluded })
    expect([...hashes.keys()]).toEqual(['bin/app', 'lib/a.txt', 'lib/b.txt'])
  })

  test('says what it packed: length, hashes, entries, bytes, programs', async () => {
    const { artifact, file, hashes, programs } = await packed(APP)
    const bytes = await readFile(file)
    expect(artifact).toMatchObject({
      platform: 'any',
      format: 'tar+zstd',
      length: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sha512: createHash('sha512').update(bytes).digest('hex'),
      unpacked_bytes: 23,
      entries: 5,
    })
    expect(hashes.get('lib/a.txt')).toBe(createHash('sha256').update('a').digest('hex'))
    expect([...programs]).toEqual(['bin/app'])
    await verifyArtifact(nodeDisk.readChunks(file), artifact)
  })

  test('is an archive that tar and zstd read', async () => {
    const { file } = await packed({ ...APP, [`deep/${'d'.repeat(120)}/name`]: 'long', 'naïve.txt': 'ü' })
    const folder = await tempFolder()
    await writeFile(join(folder, 'archive.tar'), zstdDecompressSync(await readFile(file)))
    await run('tar', ['xf', 'archive.tar'], { cwd: folder })
    expect(await readFile(join(folder, `deep/${'d'.repeat(120)}/name`), 'utf8')).toBe('long')
    expect(await readFile(join(folder, 'naïve.txt'), 'utf8')).toBe('ü')
    expect((await run(join(folder, 'bin/app'))).stdout).toBe('hello\n')
  })

  test('keeps its memory while a tree of 100 MB goes through', async () => {
    const folder = await tempFolder()
    for (let i = 0; i < 10; i++) await writeFile(join(folder, `part${i}`), noise(10_000_000, i))
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const onProgress = () => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    const { artifact } = await packSource(
      { disk: nodeDisk, onProgress },
      source(folder),
      join(await tempFolder(), 'out'),
    )
    expect(artifact.unpacked_bytes).toBe(100_000_000)
    expect(most).toBeLessThan(80_000_000)
  }, 60_000)

  test('any tree of plain files comes back as it went in', async () => {
    const name = fc.stringMatching(/^[a-z0-9_-]{1,12}$/)
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
    const files = fc
      .dictionary(path, fc.uint8Array({ maxLength: 2_000 }), { minKeys: 1, maxKeys: 8 })
      .filter(noFileIsAFolder)
    await fc.assert(
      fc.asyncProperty(files, async (tree) => {
        const { file, artifact, hashes } = await packed(tree)
        await verifyArtifact(nodeDisk.readChunks(file), artifact)
        expect(Object.fromEntries(hashes)).toEqual(
          Object.fromEntries(
            Object.entries(tree).map(([at, bytes]) => [at, createHash('sha256').update(bytes).digest('hex')]),
          ),
        )
      }),
      { numRuns: 15 },
    )
  })
})

describe('what may not go out', () => {
  // Each with the same folder one edit away, which is packed.
  const refusals: readonly [what: string, files: Record<string, TreeFile>, where: string, message: RegExp][] = [
    ['an environment file', { '.env': 'A=1' }, '.env', /environment file/],
    [
      'an environment file of a stage',
      { 'config/.env.production': 'A=1' },
      'config/.env.production',
      /environment file/,
    ],
    ['an SSH key by its name', { 'ops/id_ed25519': 'x' }, 'ops/id_ed25519', /SSH private key/],
    ['a private key in a PEM', { 'tls/server.pem': pem('PRIVATE KEY') }, 'tls/server.pem', /private key/],
    ['an RSA key', { 'a.txt': `x\n${pem('RSA PRIVATE KEY')}` }, 'a.txt', /private key/],
    [
      'a private key inside JSON',
      { 'account.json': JSON.stringify({ k: pem('PRIVATE KEY') }) },
      'account.json',
      /private key/,
    ],
    [
      'an .npmrc with a token',
      { '.npmrc': '//r.example/:_authToken=abcdefgh12345678\n' },
      '.npmrc',
      /token of a package registry/,
    ],
    [
      'a token of this server',
      { 'a.js': `const t = 'nlk_publish_k3J9dkQ2_${'Ab1-'.repeat(8)}'` },
      'a.js',
      /token of this update server/,
    ],
    ['an age identity', { 'key.txt': `AGE-SECRET-KEY-1${'Q'.repeat(58)}` }, 'key.txt', /age identity/],
    ['a name with a backslash', { 'a\\b': 'x' }, 'a\\b', /backslash/],
    ['a name that is not in NFC', { 'e\u0301.txt': 'x' }, 'e\u0301.txt', /normalization/],
    ['names that differ in case only', { Readme: '1', README: '2' }, 'Readme', /differs only in case/],
    ['names that differ in the spelling of ß only', { straße: '1', strasse: '2' }, 'straße', /differs only in case/],
  ]

  test.each(refusals)('%s', async (_what, files, where, message) => {
    const refused = await refusalOf(packed({ ...APP, ...files }))
    expect(refused.code).toBe('files')
    expect(refused.facts.problems).toMatchObject([{ where, what: expect.stringMatching(message) }])
    await expect(packed(APP)).resolves.toBeDefined()
  })

  test.each([
    ['.env.example', 'A=1'],
    ['.npmrc', 'fund=false\n//r.example/:_authToken=${TOKEN}\n'],
    ['tls/server.pem', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'],
    ['lib/tls.js', "if (text.includes('-----BEGIN PRIVATE KEY-----')) throw new Error('no')"],
    ['docs.md', 'tokens look like nlk_publish_ID_SECRET'],
  ])('%s, which only looks like a secret, goes out', async (path, content) => {
    expect((await packed({ ...APP, [path]: content })).hashes.has(path)).toBe(true)
  })

  test('a secret on the edge of two chunks is found', async () => {
    const key = pem('PRIVATE KEY')
    for (const before of [1_048_576 - 20, 1_048_576 - key.length + 1, 1_048_576]) {
      const refused = await refusalOf(packed({ blob: `${'x'.repeat(before)}${key}` }))
      expect(refused.facts.problems?.[0]?.what).toMatch(/private key/)
    }
  })

  test('a secret that is named in allow_secrets goes out, its neighbour does not', async () => {
    const isAllowedSecret = (path: string) => path === 'test/key.pem'
    const files = { ...APP, 'test/key.pem': pem('PRIVATE KEY') }
    expect((await packed(files, undefined, { ...nobody, isAllowedSecret })).hashes.has('test/key.pem')).toBe(true)
    const refused = await refusalOf(
      packed({ ...files, 'key.pem': pem('PRIVATE KEY') }, undefined, { ...nobody, isAllowedSecret }),
    )
    expect(refused.facts.problems?.map(({ where }) => where)).toEqual(['key.pem'])
  })

  test('symlinks: the message says whether they leave the folder', async () => {
    const links: readonly [string, string, RegExp][] = [
      ['lib/out', '../../etc/passwd', /out of the release folder/],
      ['abs', '/etc/passwd', /out of the release folder/],
      ['lib/in', 'a.txt', /to another file of the release/],
      ['lib/up', '../bin/app', /to another file of the release/],
    ]
    for (const [path, target, message] of links) {
      const refused = await refusalOf(packed(APP, (folder) => symlink(target, join(folder, path))))
      expect(refused.facts.problems).toMatchObject([{ where: path, what: expect.stringMatching(message) }])
    }
  })

  test('sockets and pipes', async () => {
    const server = createServer()
    onTestFinished(() => void server.close())
    const refused = await refusalOf(
      packed(APP, async (folder) => {
        await run('mkfifo', [join(folder, 'pipe')])
        await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve))
      }),
    )
    expect(refused.facts.problems).toEqual([
      { where: 'pipe', what: 'is a device, pipe or socket' },
      { where: 'socket', what: 'is a device, pipe or socket' },
    ])
  })

  test('a folder without files', async () => {
    const refused = await refusalOf(packed({ 'release.json': '{}' }))
    expect(refused.facts.problems?.[0]?.what).toBe('has no files to release')
  })

  test('everything that is wrong is named at once', async () => {
    const refused = await refusalOf(packed({ ...APP, '.env': '1', 'a\\b': '2', id_rsa: '3' }))
    expect(refused.facts.problems?.map(({ where }) => where)).toEqual(['.env', 'id_rsa'])
    expect(refused.message).toMatch(/\.env looks like a secret.*\(and 1 more\)$/)
  })

  test('a file that this user may not read', async () => {
    const folder = await tempFolder()
    await writeTree(folder, APP)
    const refused = await refusalOf(
      packSource({ disk: denying(nodeDisk, 'lib/b.txt') }, source(folder), join(folder, '..', 'out')),
    )
    expect(refused.facts.problems).toEqual([{ where: 'lib/b.txt', what: "can't be read by this user" }])
  })

  const changes: readonly [string, (path: string) => Promise<unknown>][] = [
    ['grows', (path) => appendFile(path, 'more')],
    ['shrinks', (path) => truncate(path, 1)],
    ['is replaced', (path) => rm(path).then(() => writeFile(path, 'b'.repeat(10)))],
    ['vanishes', (path) => rm(path)],
    ['is touched', (path) => utimes(path, 5, 5)],
    ['becomes a symlink', (path) => rm(path).then(() => symlink('/etc/passwd', path))],
  ]
  test.each(changes)('a file that %s while the others are packed', async (_how, change) => {
    const folder = await tempFolder()
    const out = join(await tempFolder(), 'out')
    await writeTree(folder, { a: 'a', b: 'b'.repeat(10) })
    const disk = afterReading(nodeDisk, join(folder, 'a'), () => change(join(folder, 'b')))
    const refused = await refusalOf(packSource({ disk }, source(folder), out))
    expect(refused.code).toBe('changed')
    expect(refused.message).toContain(join(folder, 'b'))
    expect(await readdir(out)).toEqual([])
  })

  test('nothing half written is left after a refusal in the middle', async () => {
    const folder = await tempFolder()
    await writeTree(folder, { ...APP, z: pem('PRIVATE KEY') })
    const out = join(await tempFolder(), 'out')
    await refusalOf(packSource({ disk: nodeDisk }, source(folder), out))
    expect(await readdir(out)).toEqual([])
  })
})

describe('checking an artifact', () => {
  test('every byte counts', async () => {
    const { file, artifact } = await packed(APP)
    const bytes = await readFile(file)
    for (const at of [0, 10, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const flipped = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte))
      await expect(verifyArtifact(chunked(flipped), artifact)).rejects.toMatchObject({
        name: 'TrustError',
        code: 'hash',
      })
    }
    await expect(verifyArtifact(chunked(bytes.subarray(0, -1)), artifact)).rejects.toMatchObject({ code: 'hash' })
    await expect(verifyArtifact(chunked(Buffer.concat([bytes, Buffer.of(0)])), artifact)).rejects.toMatchObject({
      code: 'hash',
    })
    await verifyArtifact(chunked(bytes), artifact)
  })

  test('the right archive under a wrong description is refused', async () => {
    const { file, artifact } = await packed(APP)
    for (const lie of [
      { entries: 4 },
      { unpacked_bytes: 22 },
      { tree_sha256: '0'.repeat(64) },
      { sha512: '0'.repeat(128) },
    ]) {
      await expect(verifyArtifact(nodeDisk.readChunks(file), { ...artifact, ...lie })).rejects.toMatchObject({
        code: 'hash',
      })
    }
  })
})

// ---- the world of these tests ------------------------------------------------------------------------------------------------------

async function packed(files: Record<string, TreeFile>, change?: (folder: string) => Promise<unknown>, rules = nobody) {
  const folder = await tempFolder()
  await writeTree(folder, files)
  await change?.(folder)
  return packSource({ disk: nodeDisk }, { ...source(folder), rules }, join(await tempFolder(), 'out'))
}

function source(folder: string) {
  return { platform: 'any', folder, rules: nobody }
}

async function refusalOf(attempt: Promise<unknown>): Promise<PublishError> {
  const error = await attempt.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof PublishError) return error
  throw error
}

function pem(label: string): string {
  return `-----BEGIN ${label}-----\n${'MC4CAQAwBQYDK2VwBCIEIBQZ'.repeat(3)}\n-----END ${label}-----\n`
}

/** Bytes that no compressor makes much smaller, the same in every run (xorshift). */
function noise(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  let word = 0x9e3779b9 + seed
  for (let i = 0; i < length; i++) {
    word ^= word << 13
    word ^= word >>> 17
    word ^= word << 5
    bytes[i] = word & 0xff
  }
  return bytes
}

async function* chunked(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100)
}

/** The same disk, handing out files in other pieces. */
function inCrumbs(disk: Disk, size: number): Disk {
  return {
    ...disk,
    async *readChunks(path) {
      for await (const chunk of disk.readChunks(path)) {
        for (let at = 0; at < chunk.length; at += size) yield chunk.subarray(at, at + size)
      }
    },
  }
}

/** The same disk, on which one file belongs to somebody else. (Tests may run as root, who may read everything.) */
function denying(disk: Disk, path: string): Disk {
  return {
    ...disk,
    async *readChunks(file) {
      if (file.endsWith(path)) throw new PlatformError('not-permitted', `${file}: EACCES`, { path: file })
      yield* disk.readChunks(file)
    },
  }
}

/** The same disk, on which something happens once a file has been read. */
function afterReading(disk: Disk, path: string, then: () => Promise<unknown>): Disk {
  return {
    ...disk,
    async *readChunks(file) {
      yield* disk.readChunks(file)
      if (file === path) await then()
    },
  }
}

function noFileIsAFolder(tree: Record<string, unknown>): boolean {
  const paths = Object.keys(tree)
  return !paths.some((path) => paths.some((other) => other.startsWith(`${path}/`)))
}
