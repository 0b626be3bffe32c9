// What a power cut may do to names, for any moves of files between two folders and any syncs of these.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { put, read } from './content.ts'
import { createSimDisk, type SimDisk } from './disk.ts'

const folders = ['/a', '/b'] as const
const names = folders.flatMap((folder) => ['1', '2', '3', '4'].map((name) => `${folder}/${name}`))

type Step =
  | { readonly kind: 'create'; readonly to: string }
  | { readonly kind: 'move'; readonly from: string; readonly to: string }
  | { readonly kind: 'sync'; readonly folder: string }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), to: fc.constantFrom(...names) }),
  fc.record({ kind: fc.constant('move' as const), from: fc.constantFrom(...names), to: fc.constantFrom(...names) }),
  fc.record({ kind: fc.constant('sync' as const), folder: fc.constantFrom(...folders) }),
)

interface Promised {
  /** What a sync said is under a name, or that nothing is, until something happens to that name. */
  readonly under: Map<string, string | undefined>
  /** Files of which a sync said that they are there. */
  readonly files: Set<string>
}

/** Files are only made under free names and only moved to free names: each has one name at any time. Its content is its own. */
async function carryOut(disk: SimDisk, steps: readonly Step[]): Promise<Promised> {
  const promised: Promised = { under: new Map(), files: new Set() }
  const taken = new Map<string, string>()
  const leftFor = new Map<string, string>()
  const touch = (name: string) => promised.under.delete(name)
  for (const [index, one] of steps.entries()) {
    if (one.kind === 'sync') {
      await disk.syncDir(one.folder)
      for (const [name, content] of taken) {
        if (!name.startsWith(one.folder)) continue
        promised.under.set(name, content)
        promised.files.add(content)
      }
      // A rename is safe when the folder that it goes to is.
      for (const [name, next] of leftFor)
        if (next.startsWith(one.folder) && !taken.has(name)) promised.under.set(name, undefined)
    } else if (taken.has(one.to)) {
    } else if (one.kind === 'create') {
      await put(disk, one.to, `file ${index}`, 'sync')
      taken.set(one.to, `file ${index}`)
      touch(one.to)
    } else {
      const content = taken.get(one.from)
      if (content === undefined) continue
      await disk.rename(one.from, one.to)
      taken.set(one.to, content)
      taken.delete(one.from)
      leftFor.set(one.from, one.to)
      touch(one.from)
      touch(one.to)
    }
  }
  return promised
}

async function contentsOf(disk: SimDisk): Promise<Map<string, string | undefined>> {
  return new Map(await Promise.all(names.map(async (name) => [name, await read(disk, name)] as const)))
}

test('a power cut leaves every file under one name, and every name as it was at its last sync', async () => {
  let checked = 0
  const property = fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
    const disk = createSimDisk({ files: { '/a/keep': '', '/b/keep': '' } })
    const promised = await carryOut(disk, steps)
    for (const { words, disk: after } of disk.afterCut({ seed: 11, samples: 20 })) {
      const found = await contentsOf(after)
      for (const [name, content] of promised.under) expect(found.get(name), `${words}: ${name}`).toBe(content)
      const present = [...found.values()].filter((content) => content !== undefined)
      expect(new Set(present).size, words).toBe(present.length)
      expect(present, words).toEqual(expect.arrayContaining([...promised.files]))
      checked += promised.under.size
    }
  })
  await fc.assert(property, { numRuns: 400 })
  expect(checked).toBeGreaterThan(200)
})
