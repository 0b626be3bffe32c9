// Small files in which a host remembers things: what cannot be read counts as what its reader says, and stops nothing.
import { expect, test } from 'vitest'
import { agentFilesOf } from '../../agent/config.ts'
import { loadCheck, loadOffers } from '../../agent/host-state.ts'
import { buildPaths } from '../../agent/paths.ts'
import { createSimDisk } from '../sim/disk.ts'

const files = agentFilesOf(buildPaths({ home: '/host' }))
const CHECK = { at: '2026-11-23T10:00:00Z', root_version: 1, timestamp_version: 4 }
const load = (text: string) => loadCheck(createSimDisk({ files: { [files.check]: text } }), files)

test.each([
  ...['', '[]', 'null', '{}', '{"at":'],
  JSON.stringify({ ...CHECK, root_version: -1 }),
  JSON.stringify({ ...CHECK, assignment: { in_force: {}, refusal: null } }),
])('a last check that cannot be read is none, so that the next one makes it anew: %s', async (text) => {
  expect(await load(text)).toBeUndefined()
  expect(await load(JSON.stringify(CHECK))).toMatchObject({ root_version: 1, timestamp_version: 4, target: null })
})

test('a first sight that is no time is none, and the others count', async () => {
  const written = '{"0a1":{"valueOf":1,"toString":1},"0a2":"2026-11-23T10:00:00Z","0a3":7}'
  const offers = await loadOffers(createSimDisk({ files: { [files.offers]: written } }), files)
  expect([...offers.keys()]).toEqual(['0a2'])
})
