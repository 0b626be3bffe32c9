import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { until } from '../world/programs.ts'
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
    const version = Number.MAX_SAFE_INTEGER
    const own = await resign(snapshot, { version }, thief.snapshot)
    await writeFile(published(page.folder, `${version}.snapshot.json`), own)
    const sha256 = createHash('sha256').update(own).digest('hex')
    const announced = { 'snapshot.json': { version, length: own.length, hashes: { sha256 } } }
    const forged = await resign(honest, { version, meta: announced }, thief.timestamp)
    await writeFile(file, forged)
    await page.works('host', 'netlink update check')
    await page.works('publisher', 'netlink-publish list --dir pub')
    // The server sees it, as every minute, and puts its own in the place.
    await page.stopServer()
    await page.startServer()
    const shown = async () => JSON.parse(await readFile(file, 'utf8')).signed.version
    expect(await until(30, async () => ((await shown()) < 1_000 ? true : undefined))).toBe(true)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    expect(await page.type('publisher', 'netlink-publish list --dir pub')).toMatchObject({ status: 7 })

    await page.play('server')
    await page.play('publisher')
    await page.play('server')

    const keys = await page.play('server')
    expect(keys.match(/^snapshot/gm)).toHaveLength(1)
    await page.play('publisher')
    await page.play('host')
    await page.works('publisher', 'netlink-publish release 0a2 --dir pub --from app-v2 $SIGN')
    expect(await page.works('host', 'netlink update check')).toContain('0a2')
    await writeFile(file, forged)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    page.end()
  },
  240_000,
)
