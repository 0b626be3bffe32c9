import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { REHEARSED, rehearse } from './rehearsal.ts'
import { onlineSigners, published, resign } from './theft.ts'

test.runIf(REHEARSED)(
  'a stolen timestamp key ends at once, and the number that its thief drove up is forgotten',
  async () => {
    const page = await rehearse('timestamp-key')
    const thief = await onlineSigners(page.folder)
    const file = published(page.folder, 'timestamp.json')
    const honest = await readFile(file)
    const forged = await resign(honest, { version: 1_000_000 }, thief.timestamp)
    await writeFile(file, forged)
    await page.works('host', 'netlink update check')
    await writeFile(file, honest)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })

    await page.play('server')
    await page.play('publisher')
    await page.play('server')

    const keys = await page.play('server')
    expect(keys.match(/timestamp/g)).toHaveLength(1)
    await page.play('publisher')
    await page.play('host')
    await writeFile(file, forged)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    page.end()
  },
  180_000,
)
