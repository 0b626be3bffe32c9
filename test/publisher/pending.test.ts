// What waits in the folder: releases as they always lay there, and changes that are no release.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { listPending, loadPending, type Pending, removePending, savePending } from '../../publisher/pending.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { isSubject } from '../../schema/signing-event.ts'
import { tempFolder } from './folder.ts'

const change = {
  documents: new Map([['root', Buffer.from('{"signed":{},"signatures":[]}')]]),
  manifests: new Map(),
}
const pendingOf = (subject: string): Pending => {
  if (!isSubject(subject)) throw new Error(`${subject} is no subject`)
  return { subject, signedAt: '2026-11-23T10:00:00Z', change, artifacts: [] }
}

test('a release and a root change wait side by side and are found by their names', async () => {
  const folder = await tempFolder()
  for (const name of ['0a1', 'root-2', 'refresh-20261123']) await savePending(nodeDisk, folder, pendingOf(name))
  await mkdir(join(folder, 'init'))
  expect([...(await listPending(nodeDisk, folder))].sort()).toEqual(['0a1', 'refresh-20261123', 'root-2'])
  expect(await loadPending(nodeDisk, folder, 'root-2')).toMatchObject({
    subject: 'root-2',
    signedAt: '2026-11-23T10:00:00Z',
  })
  await removePending(nodeDisk, folder, 'root-2')
  expect(await loadPending(nodeDisk, folder, 'root-2')).toBeUndefined()
  expect(await loadPending(nodeDisk, folder, pendingOf('0a1').subject)).toBeDefined()
})

test('a release that waited since before root changes could wait is found', async () => {
  const folder = await tempFolder()
  await savePending(nodeDisk, folder, pendingOf('0a1'))
  const file = join(folder, '0a1', 'pending.json')
  const written = JSON.parse(await readFile(file, 'utf8'))
  expect(written).toMatchObject({ schema: 'netlink.pending/v1', version: '0a1' })
  expect(written).not.toHaveProperty('subject')
})

test('what says that it is something else is refused', async () => {
  const folder = await tempFolder()
  await savePending(nodeDisk, folder, pendingOf('0a1'))
  const file = join(folder, '0a1', 'pending.json')
  const text = await readFile(file, 'utf8')
  for (const other of ['"version": "0a2"', '"subject": "0a1", "version": "0a1"', '"subject": "root-2"']) {
    await writeFile(file, text.replace('"version": "0a1"', other))
    await expect(loadPending(nodeDisk, folder, pendingOf('0a1').subject)).rejects.toBeInstanceOf(ShapeError)
  }
  await writeFile(file, text)
  expect(await loadPending(nodeDisk, folder, pendingOf('0a1').subject)).toBeDefined()
})

test.each(['', 'root', 'root-', 'root-../x', 'root-2/..', 'init', 'refresh-A', `root-${'1'.repeat(80)}`])(
  '%j names no change',
  (name) => expect(isSubject(name)).toBe(false),
)
