import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fingerprintOf } from '../../keys/release.ts'
import { REHEARSED, rehearse } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'after the root threshold was lost, hosts follow a new root that somebody carried there, and the old keys are worth nothing',
  async () => {
    const page = await rehearse('root-threshold')
    // Whoever has the keys publishes what they like, and hosts believe it.
    await page.works('publisher', 'cp -r pub thief && netlink-publish release 0a9 --dir thief --from app-v2 $SIGN')
    expect(await page.works('host', 'netlink update check')).toContain('0a9')

    await page.play('admin')
    await page.play('host')
    expect(await page.type('host', 'netlink update upgrade --latest --yes')).toMatchObject({ status: 3 })
    await page.play('server')
    await page.stopServer()
    await page.startServer('srv-2')
    const told = await page.play('publisher')
    const sha256 = fingerprintOf(await readFile(join(page.folder, 'root-2.json')))
    expect(told).toContain(sha256)
    // The server alone can't bring a host over, and a root that was swapped on its way is not taken.
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    page.set('SHA256', fingerprintOf(await readFile(join(page.folder, 'root.json'))))
    const swapped = 'netlink agent trust reset --root root-2.json --expect-sha256 "$SHA256" --yes'
    expect(await page.type('host', swapped)).toMatchObject({ status: 7 })
    page.set('SHA256', sha256)
    await page.play('host')

    expect(await page.play('host')).toContain(sha256)
    expect(await page.works('host', 'netlink update version')).toContain('0a10')
    page.set('NETLINK_TOKEN', (await readFile(join(page.folder, 'srv-2/secrets/admin.token'), 'utf8')).trim())
    expect(await page.works('admin', 'netlink-admin hosts history web-01')).toContain('trusts another root, by hand')
    await page.stopServer()
    await page.startServer('srv')
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    page.end()
  },
  240_000,
)
