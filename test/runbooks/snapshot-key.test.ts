import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { REHEARSED, rehearse } from './rehearsal.ts'
import { onlineSigners, published, resign } from './theft.ts'

test.runIf(REHEARSED)(
  'stolen snapshot and timestamp keys end at once, and what their thief listed is forgotten',
  async () => {
    const page = await rehearse('snapshot-key')
    const thief = await onlineSigners(page.folder)
    const file = published(page.folder, 'timestamp.json')
    const honest = await readFile(file)
    // The thief's own snapshot, numbered far above the honest ones, and a timestamp that announces it.
    const meta = JSON.parse(String(honest)).signed.meta['snapshot.json']
    const snapshot = await readFile(published(page.folder, `${meta.version}.snapshot.json`))
    const own = await resign(snapshot, { version: 900_000 }, thief.snapshot)
    await writeFile(published(page.folder, '900000.snapshot.json'), own)
    const sha256 = createHash('sha256').update(own).digest('hex')
    const announced = { 'snapshot.json': { version: 900_000, length: own.length, hashes: { sha256 } } }
    const forged = await resign(honest, { version: 900_000, meta: announced }, thief.timestamp)
    await writeFile(file, forged)
    await page.works('host', 'netlink update check')
    await writeFile(file, honest)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })

    await page.play('server')
    await page.play('publisher')
    await page.play('server')

    const keys = await page.play('server')
    expect(keys.match(/^snapshot/gm)).toHaveLength(1)
    await page.play('publisher')
    await page.play('host')
    await writeFile(file, forged)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    page.end()
  },
  180_000,
)
