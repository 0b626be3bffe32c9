import { expect, test } from 'vitest'
import { REHEARSED, rehearse } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'a stolen host key shows, ends, and is replaced; the copy is not heard any more',
  async () => {
    const page = await rehearse('host-key')
    const idOf = async () => JSON.parse(await page.works('admin', 'netlink-admin hosts show web-01 --json')).host_id
    const stolen = await idOf()
    await page.speak('web-01')
    expect(await page.works('admin', 'netlink-admin hosts show web-01')).not.toContain('forked')
    await page.works('host', 'cp -r host thief')
    await page.speak('web-01', 'thief')
    await page.speak('web-01')

    expect(await page.play('admin')).toMatch(/web-01 is forked since/)
    await page.play('admin')
    await page.play('server')
    await page.play('host')

    await page.speak('web-01')
    expect(await page.play('admin')).not.toContain('forked')
    expect(await idOf()).not.toBe(stolen)
    expect(await page.works('host', 'netlink update version')).toContain('0a1')
    const unheard = await page.type('admin', `netlink-admin hosts show ${stolen}`)
    expect(unheard.status).not.toBe(0)
    page.end()
  },
  180_000,
)
