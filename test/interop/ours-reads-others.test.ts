// Repositories that python-tuf made and signed (make-fixtures.py records them), read by our client: over a real folder, from version 1 of root on.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { type MetadataSource, refresh, type Trusted } from '../../keys/refresh.ts'
import { loadTarget, type TargetSource } from '../../keys/release.ts'
import { verifyTargetBytes } from '../../keys/verified.ts'
import { refusalOf } from '../keys/refusal.ts'

interface Expected {
  readonly root: number
  readonly timestamp: number
  /** Content by target path, null for what must not be found. */
  readonly targets: Readonly<Record<string, string | null>>
}

const fixtures = join(import.meta.dirname, 'fixtures')
const names = readdirSync(fixtures).sort()
const NOW = new Date('2026-11-23T10:00:00Z')
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-interop-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** A fixture's files as a server hands them out; `spoil` may change them on the way. */
function sourceOf(
  name: string,
  part: 'metadata' | 'targets',
  spoil: (file: string, bytes: Buffer) => Uint8Array = (_, bytes) => bytes,
): MetadataSource & TargetSource {
  return {
    load: async (file, maxBytes) => {
      // On a disk, metadata keeps the encoded names that python-tuf gave it; targets have their own.
      const path = join(fixtures, name, part, part === 'targets' ? decodeURIComponent(file) : file)
      if (!existsSync(path)) return 'missing'
      const bytes = spoil(file, await readFile(path))
      expect(bytes.length).toBeLessThanOrEqual(maxBytes)
      return bytes
    },
  }
}

const store = () => buildFileTrustStore(nodeDisk, folder)

async function open(name: string, metadata = sourceOf(name, 'metadata')): Promise<Trusted> {
  if (!existsSync(join(folder, 'root.json')))
    await store().save('root.json', await readFile(join(fixtures, name, 'metadata', '1.root.json')))
  return refresh({ source: metadata, store: store(), startedAt: NOW })
}

async function read(trusted: Trusted, name: string, path: string): Promise<string> {
  const target = await trusted.findTarget(path)
  const bytes = verifyTargetBytes(target, await loadTarget(trusted, sourceOf(name, 'targets'), target)).value
  return Buffer.from(bytes).toString()
}

describe('a repository that python-tuf made', () => {
  it('is there in every kind', () => {
    expect(names).toEqual(['delegations', 'keys', 'plain', 'rotations'])
    const all = names.flatMap((name) => readdirSync(join(fixtures, name, 'metadata')).map((file) => `${name}/${file}`))
    const text = all.map((file) => readFileSync(join(fixtures, file.replace('/', '/metadata/')), 'utf8')).join('\n')
    for (const kind of [
      'rsassa-pss-sha256',
      '"keytype":"ecdsa-sha2-nistp256"',
      '"keytype":"ecdsa"',
      '"keytype":"ed25519"',
      'path_hash_prefixes',
      '"terminating":true',
      '"consistent_snapshot": false',
    ])
      expect(text).toContain(kind)
  })

  it.each(names)('%s is read as python-tuf meant it, and again from what was kept', async (name) => {
    const expected: Expected = JSON.parse(await readFile(join(fixtures, name, 'expected.json'), 'utf8'))
    for (const _ of ['first', 'again']) {
      const trusted = await open(name)
      expect([trusted.root.value.version, trusted.timestampVersion]).toEqual([expected.root, expected.timestamp])
      for (const [path, content] of Object.entries(expected.targets)) {
        if (content === null) expect((await refusalOf(() => trusted.findTarget(path))).code).toBe('not-delegated')
        else expect([path, await read(trusted, name, path)]).toEqual([path, content])
      }
    }
  })

  it.each(names)(
    '%s is refused with one digit of any signature changed, and read once that is put back',
    async (name) => {
      const files = readdirSync(join(fixtures, name, 'metadata')).filter((file) => /^(timestamp|\d+\.root)/.test(file))
      for (const attacked of files.filter((file) => file !== '1.root.json')) {
        const spoilt = sourceOf(name, 'metadata', (file, bytes) => (file === attacked ? spoilSignatures(bytes) : bytes))
        const refusal = await refusalOf(() => open(name, spoilt))
        expect([attacked, refusal.code]).toEqual([attacked, 'unsigned'])
      }
      expect((await open(name)).root.value.version).toBeGreaterThan(0)
    },
  )

  it('with its last two roots withheld is not believed: what they signed is signed by nobody', async () => {
    const withheld = sourceOf('rotations', 'metadata')
    const source: MetadataSource = {
      load: async (file, maxBytes) => (/^[23]\.root/.test(file) ? 'missing' : withheld.load(file, maxBytes)),
    }
    expect((await refusalOf(() => open('rotations', source))).code).toBe('unsigned')
    expect((await open('rotations')).root.value.version).toBe(3)
  })
})

/** Every signature with its last digit turned into another. */
function spoilSignatures(bytes: Buffer): Buffer {
  const turned = (digit: string) => ((Number.parseInt(digit, 16) + 1) % 16).toString(16)
  const text = bytes
    .toString()
    .replace(/("sig": ?"[0-9a-f]*)([0-9a-f])"/g, (_, start, digit) => `${start}${turned(digit)}"`)
  return Buffer.from(text)
}
