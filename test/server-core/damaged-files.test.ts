// A disk that forgets, or a hand in the storage: hosts refuse what is damaged, so the server has to notice and to mend what it can.
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BY, type CoreWorld, coreWorld, dbKinds } from './world.ts'

const at = (world: CoreWorld, key: string) => join(world.folder, 'storage', key)

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(file, bytes)
}

async function manifestKey(world: CoreWorld): Promise<string> {
  const folder = 'repo/targets/alpha/0a1'
  const [name] = await readdir(at(world, folder))
  return `${folder}/${name}`
}

describe.each(dbKinds)('published files (%s database)', (kind) => {
  test('that were cut, changed or removed are found, put back at start, and hosts go on', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    await world.publish('0a1')
    expect(await world.core.publication.findDamaged()).toEqual([])
    const manifest = await manifestKey(world)
    const whole = await readFile(at(world, manifest))
    await truncate(at(world, 'repo/metadata/1.targets.json'), 0)
    await flip(at(world, 'repo/metadata/1.root.json'))
    await flip(at(world, manifest))
    await expect(world.follow()).rejects.toMatchObject({ code: 'hash' })
    expect((await world.core.publication.findDamaged()).toSorted()).toEqual([
      'repo/metadata/1.root.json',
      'repo/metadata/1.targets.json',
      manifest,
    ])

    const again = await world.another()
    await again.start()
    expect(await again.publication.findDamaged()).toEqual([])
    expect((await readFile(at(world, manifest))).equals(whole)).toBe(true)
    expect((await world.follow()).product).toBe('demo')
    expect(world.logged.filter(({ event }) => event === 'repository.file_put_back')).toHaveLength(3)
  })

  test('an artifact that is damaged counts as missing: nothing is accepted over it until it was sent again', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { artifact, ...request } = await world.publisher.release('0a1')
    await world.upload(artifact.bytes, artifact.sha256)
    const key = `repo/artifacts/${artifact.sha256}`
    await flip(at(world, key))
    const { publication } = world.core
    expect(await publication.findDamaged()).toEqual([key])
    await expect(publication.acceptReleases(request, BY)).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'missing-artifact' },
    })
    expect(await publication.uploadState(artifact.sha256)).toMatchObject({ received: 0, complete: false })

    await world.upload(artifact.bytes, artifact.sha256)
    expect(await publication.findDamaged()).toEqual([])
    await publication.acceptReleases(request, BY)
    expect((await world.follow()).timestampVersion).toBe(2)
  })
})
