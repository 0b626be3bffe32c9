import { expect, test } from 'vitest'
import { REHEARSED, rehearse, signersOf } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'a stolen root key is replaced, hosts follow, and it signs no root any more',
  async () => {
    const page = await rehearse('root-key')
    await page.works('publisher', 'cp -r pub thief')
    const alone = `netlink-publish root set-threshold 1 --role root --dir thief ${signersOf(['carol'])}`
    expect((await page.type('publisher', alone)).status).toBe(7)

    await page.play('publisher')

    expect(await page.play('publisher')).toContain('carol')
    expect(await page.play('host')).toContain('root 2 of demo')
    // With a second holder's key beside it, the stolen one still counts for nothing.
    await page.works('publisher', 'rm -rf thief/pending')
    const both = `netlink-publish root set-threshold 1 --role root --dir thief ${signersOf(['carol', 'bob'])}`
    expect((await page.type('publisher', both)).status).not.toBe(0)
    const honest = `netlink-publish release 0a2 --dir pub --from app-v2 ${signersOf(['carol', 'bob'])}`
    await page.works('publisher', honest)
    expect(await page.works('host', 'netlink update check')).toContain('0a2')
    page.end()
  },
  180_000,
)
