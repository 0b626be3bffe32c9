import { expect, test } from 'vitest'
import { REHEARSED, rehearse, signersOf } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'after a channel threshold was stolen its keys sign nothing that counts, and what they signed is not installed',
  async () => {
    const page = await rehearse('channel-threshold')
    const steal = (version: string, token: string) =>
      page.type(
        'publisher',
        `netlink-publish release ${version} --dir thief --token-file ${token} --from app-v2 ${signersOf(['alice', 'carol'])}`,
      )
    const status = (token: string) =>
      `NETLINK_TOKEN="$(cat ${token})" netlink-admin api GET /api/v1/publish/state --server https://updates.example`
    await page.works('publisher', 'cp -r pub thief')
    expect(await steal('0a9', 'srv/secrets/publish.token')).toMatchObject({ status: 0 })
    expect(await page.works('host', 'netlink update check')).toContain('0a9')

    await page.play('admin')
    await page.play('server')
    await page.play('publisher')
    expect(await page.works('host', 'netlink update check')).not.toContain('0a9 available')
    await page.play('server')
    await page.play('publisher')
    await page.play('publisher')
    await page.play('admin')

    await page.play('publisher')
    expect(await page.play('host')).toContain('0a10')
    expect(await page.type('publisher', status('srv/secrets/publish.token'))).toMatchObject({ status: 5 })
    expect(await page.type('publisher', status('publish-2.token'))).toMatchObject({ status: 0 })
    // Even with the new token the stolen keys publish nothing.
    expect(await steal('0a11', 'publish-2.token')).toMatchObject({ status: 7 })
    expect(await page.works('host', 'netlink update check')).not.toContain('0a11')
    await page.works('host', 'netlink update upgrade --latest --yes')
    page.end()
  },
  240_000,
)
