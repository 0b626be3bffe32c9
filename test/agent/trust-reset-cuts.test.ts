import { describe, expect, test } from 'vitest'
import { agentFilesOf } from '../../agent/config.ts'
import { buildPaths } from '../../agent/paths.ts'
import { finishReset, loadTrustedRoot, resetTrust, verifyReset } from '../../agent/trust-reset.ts'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { loadTrusted, refresh } from '../../keys/refresh.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { runWithCuts } from '../sim/cuts.ts'
import { createSimDisk } from '../sim/disk.ts'
import { SimRepository } from '../sim/repository.ts'

const paths = buildPaths({ home: '/host' })
const files = agentFilesOf(paths)

/** A repository that began anew: nobody who could sign the old one can sign this. */
async function withOtherKeys(product: string): Promise<SimRepository> {
  const repo = await SimRepository.create({ product })
  for (const role of ['root', 'timestamp', 'snapshot', 'targets']) repo.rotateKeys(role)
  await repo.publishAsIs('root')
  await repo.publish('targets')
  return repo
}

async function world(product = 'demo') {
  const old = await SimRepository.create()
  for (const version of ['0a1', '0a2']) await old.release(version)
  const fresh = await withOtherKeys(product)
  await fresh.release('0a3')
  const clock: Clock = { now: () => old.now, monotonicMs: () => 0, sleep: async () => undefined }
  const disk = createSimDisk()
  await makeDirDurable(disk, paths.trust, 0o700)
  const store = buildFileTrustStore(disk, paths.trust)
  await store.save('root.json', old.file('1.root.json'))
  await refresh({ source: old, store, startedAt: old.now })
  const enrolment = {
    ...{ server: 'http://127.0.0.1:1', host_id: `h_${'0'.repeat(32)}`, name: 'web-01', product: 'demo' },
    ...{ channel: 'alpha', group: null, labels: {}, ca: null, insecure_http: false },
    ...{ service: { control: 'exec', unit: 'x.service' }, enrolled_at: '2026-11-23T10:00:00Z' },
  }
  await replaceFile(disk, files.enrolment, Buffer.from(JSON.stringify(enrolment)), 0o600)
  await replaceFile(disk, paths.floor, Buffer.from('{"schema":"netlink.floor/v1","floor":"0a2"}'), 0o600)
  const bytes = fresh.file('1.root.json')
  const root = verifyReset({
    bytes,
    expectedSha256: fingerprintOf(bytes),
    product: 'demo',
    otherProduct: product === 'demo' ? undefined : product,
  })
  const at = (here: Disk) => ({ disk: here, paths, files, clock })
  return { old, fresh, disk, root, at, startedAt: old.now }
}

const productOf = async (disk: Disk) =>
  JSON.parse(Buffer.from(await disk.readFile(files.enrolment, 10_000)).toString()).product
const namesOf = async (disk: Disk) => (await disk.list(paths.state)).map(({ name }) => name).sort()

describe('a reset of trust', () => {
  test.each([
    ['of the same product', 'demo', true],
    ['of the same product, without asking the server', 'demo', false],
    ['of another product', 'other', true],
  ])(
    '%s: after a power cut at any effect the host is wholly under the old root or wholly under the new one',
    async (_, product, asks) => {
      const { old, fresh, disk: start, root, at, startedAt } = await world(product)
      const oldFingerprint = fingerprintOf(old.file('1.root.json'))
      const sides = new Set<string>()
      const { cuts } = await runWithCuts(
        {
          scenario: (disk) => resetTrust(at(disk), root, asks ? fresh : undefined),
          recover: (disk) => finishReset(at(disk)),
          check: async (disk, { isDone }) => {
            const found = await loadTrustedRoot(at(disk))
            const isNew = found?.sha256 === fingerprintOf(root.bytes)
            sides.add(isNew ? 'new' : 'old')
            if (isDone) expect(isNew).toBe(true)
            const store = buildFileTrustStore(disk, paths.trust)
            expect(found?.sha256).toBe(isNew ? fingerprintOf(root.bytes) : oldFingerprint)
            expect(await productOf(disk)).toBe(isNew ? product : 'demo')
            const names = await namesOf(disk)
            const kept = product === 'demo' ? 'trust.2026' : 'trust.of-demo'
            expect(names.filter((name) => name.startsWith(kept))).toHaveLength(isNew ? 1 : 0)
            expect(names).toContain('floor.json')
            const floors = await store.loadFloors()
            if (!isNew) expect(floors).toMatchObject({ root: 1, snapshot: { version: expect.any(Number) } })
            const trusted = await refresh({ source: isNew ? fresh : old, store, startedAt })
            expect(trusted.product).toBe(isNew ? product : 'demo')
          },
        },
        { start, recoveryCuts: 4, samples: 2 },
      )
      expect(cuts).toBeGreaterThan(8)
      expect([...sides].sort()).toEqual(['new', 'old'])
    },
  )

  test('clears the floors, keeps the old trust whole under a dated name, and leaves what is installed alone', async () => {
    const { old, fresh, disk, root, at, startedAt } = await world()
    const end = await resetTrust(at(disk), root, fresh)
    expect(end).toMatchObject({ kept: `${paths.trust}.20261123T100000Z`, rootVersion: 1 })
    const kept = buildFileTrustStore(disk, end.kept ?? '')
    expect((await loadTrusted({ store: kept, startedAt })).root.bytes).toEqual(old.file('1.root.json'))
    expect(Buffer.from(await disk.readFile(paths.floor, 1_000)).toString()).toContain('0a2')
    const again = await resetTrust(at(disk), root, fresh)
    expect(again.kept).toBe(`${paths.trust}.20261123T100000Z-2`)
  })

  test('that the server does not bear out changes nothing; without asking it, it does', async () => {
    const { old, disk, root, at } = await world()
    const before = await namesOf(disk)
    await expect(resetTrust(at(disk), root, old)).rejects.toMatchObject({ code: 'unsigned' })
    expect((await loadTrustedRoot(at(disk)))?.sha256).toBe(fingerprintOf(old.file('1.root.json')))
    expect(await namesOf(disk)).toEqual([...before, 'trust.new'].sort())
    await resetTrust(at(disk), root, undefined)
    expect((await loadTrustedRoot(at(disk)))?.sha256).toBe(fingerprintOf(root.bytes))
    expect(await namesOf(disk)).not.toContain('trust.new')
  })

  test('is for a file with the fingerprint that was told, signed by itself, of the same product', async () => {
    const { fresh } = await world()
    const bytes = fresh.file('1.root.json')
    const foreign = (await SimRepository.create({ product: 'other' })).file('1.root.json')
    const request = { bytes, expectedSha256: fingerprintOf(bytes), product: 'demo', otherProduct: undefined }
    expect(verifyReset(request).value.version).toBe(1)
    const refusal = (changes: Partial<typeof request> | { otherProduct: string }) => {
      try {
        verifyReset({ ...request, ...changes })
      } catch (error) {
        return error
      }
      return undefined
    }
    expect(refusal({ expectedSha256: '0'.repeat(64) })).toMatchObject({ code: 'hash' })
    const altered = Buffer.from(
      Buffer.from(bytes)
        .toString('utf8')
        .replace(/"version": ?1\b/, '"version":2'),
    )
    expect(altered.equals(bytes)).toBe(false)
    expect(refusal({ bytes: altered, expectedSha256: fingerprintOf(altered) })).toMatchObject({ code: 'unsigned' })
    const other = { bytes: foreign, expectedSha256: fingerprintOf(foreign) }
    expect(refusal(other)).toMatchObject({ code: 'foreign' })
    expect(refusal({ ...other, otherProduct: 'third' })).toMatchObject({ code: 'foreign' })
    expect(refusal({ ...other, otherProduct: 'other' })).toBeUndefined()
    expect(refusal({ otherProduct: 'other' })).toMatchObject({ code: 'foreign' })
    const targets = fresh.file('1.targets.json')
    expect(refusal({ bytes: targets, expectedSha256: fingerprintOf(targets) })).toMatchObject({ name: 'TrustError' })
  })
})
