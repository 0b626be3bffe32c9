import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildPaths } from '../../agent/paths.ts'
import { loadProcessRecord, NEVER_RAN } from '../../agent/service/process-record.ts'
import { createSimDisk } from '../sim/disk.ts'

const paths = buildPaths({ home: '/host' })
const process = {
  ...{ generation: 1, version: '0a1', identity: { pid: 7, startTime: '1', bootId: 'b' }, logOffset: 0, restarts: 0 },
  ...{ startedAt: '2026-11-23T10:00:00Z', stopSignal: 'SIGTERM', stopTimeoutMs: 10_000 },
}
const load = (record: object) =>
  loadProcessRecord(createSimDisk({ files: { [join(paths.service, 'process.json')]: JSON.stringify(record) } }), paths)

test.each([
  { stopSignal: undefined },
  { stopSignal: 'SIGNOTHING' },
  { stopTimeoutMs: '10' },
  { logOffset: -1 },
  { restarts: null },
  { startedAt: 'noon' },
])('a record with %j is none: nobody could stop that process by it', async (damage) => {
  expect(await load({ wanted: 'running', process: { ...process, ...damage } })).toEqual(NEVER_RAN)
  expect(await load({ wanted: 'running', process })).toEqual({ wanted: 'running', process })
})

test('a record that is too long, or would be when it is written again, is none', async () => {
  const of = (version: string) => load({ wanted: 'running', process: { ...process, version } })
  expect(await of('0'.repeat(70_000))).toEqual(NEVER_RAN)
  // A byte that is no UTF-8 becomes a character of three.
  const text = JSON.stringify({ wanted: 'running', process: { ...process, version: 'V' } })
  const file = Buffer.from(text.replace('V', 'x'.repeat(60_000)))
  const disk = (content: Buffer) => createSimDisk({ files: { [join(paths.service, 'process.json')]: content } })
  expect(await loadProcessRecord(disk(file), paths)).toMatchObject({ wanted: 'running' })
  const halves = Buffer.concat(
    text.split('V').flatMap((part, index) => [...(index ? [Buffer.alloc(60_000, 0xff)] : []), Buffer.from(part)]),
  )
  expect(halves.length).toBeLessThan(64 << 10)
  expect(await loadProcessRecord(disk(halves), paths)).toEqual(NEVER_RAN)
})
