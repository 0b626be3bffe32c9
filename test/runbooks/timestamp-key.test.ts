import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { until } from '../world/programs.ts'
import { REHEARSED, rehearse } from './rehearsal.ts'
import { onlineSigners, published, resign } from './theft.ts'

// As high as the columns of the database once went, and as high as numbers of metadata go.
test.runIf(REHEARSED).each([2 ** 31 - 2, Number.MAX_SAFE_INTEGER])(
  'a stolen timestamp key ends at once, and so does the number %d that its thief showed to server, publisher and host',
  async (number) => {
    const page = await rehearse('timestamp-key')
    const thief = await onlineSigners(page.folder)
    const file = published(page.folder, 'timestamp.json')
    const shown = async () => JSON.parse(await readFile(file, 'utf8')).signed.version
    const forged = await resign(await readFile(file), { version: number }, thief.timestamp)
    await writeFile(file, forged)
    await page.works('host', 'netlink update check')
    await page.works('publisher', 'netlink-publish list --dir pub')
    // The server sees it: at start, as every minute. It puts its own in the place, which whoever saw the thief's refuses.
    await page.stopServer()
    await page.startServer()
    expect(await until(30, async () => ((await shown()) < 1_000 ? true : undefined))).toBe(true)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    expect(await page.type('publisher', 'netlink-publish list --dir pub')).toMatchObject({ status: 7 })

    await page.play('server')
    await writeFile(file, forged)
    await page.play('publisher')
    await page.play('server')

    const keys = await page.play('server')
    expect(keys.match(/timestamp/g)).toHaveLength(1)
    await page.play('publisher')
    await page.play('host')
    expect(await shown()).toBeLessThan(1_000)
    await page.works('publisher', 'netlink-publish release 0a2 --dir pub --from app-v2 $SIGN')
    expect(await page.works('host', 'netlink update check')).toContain('0a2')
    await writeFile(file, forged)
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    page.end()
  },
  240_000,
)
