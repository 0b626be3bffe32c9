import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { REHEARSED, rehearse } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'a server that was stolen is put back from an older backup, with other keys and tokens, and every host goes on',
  async () => {
    const page = await rehearse('whole-server')
    const directors = async () => {
      const { keys } = JSON.parse(await page.works('server', 'netlink-server keys list --dir srv --json')) as {
        keys: { role: string; state: string; keyid: string }[]
      }
      return keys.flatMap(({ role, state, keyid }) => (role === 'director' && state === 'named' ? [keyid] : []))
    }
    const stolen = await directors()
    expect(stolen).toHaveLength(1)
    await page.stopServer()
    await page.works('server', 'mkdir backup && cp -a srv backup/srv')
    await page.startServer()
    // After the backup: reports of a host, a change of root, and a release that the host has seen. The backup knows of none of them.
    await page.speak('web-01')
    await page.works('publisher', 'netlink-publish root set-threshold 1 --role beta --dir pub $SIGN')
    await page.works('publisher', 'netlink-publish release 0a2 --dir pub --from app-v2 $SIGN')
    expect(await page.works('host', 'netlink update check')).toContain('0a2')
    await page.stopServer('SIGKILL')
    await page.works('server', 'mv srv stolen')

    await page.play('host')
    await page.play('server')
    await page.startServer()
    // What is served is older than what the host knows.
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    const sent = await page.play('publisher')
    expect(sent).toMatch(/root v2[\s\S]*0a2/)
    await page.stopServer()
    await page.play('server')
    await page.startServer()
    expect(await page.type('host', 'netlink update check')).toMatchObject({ status: 7 })
    const [signed, named] = [await page.play('publisher'), await directors()]
    expect(named).toHaveLength(1)
    expect(named).not.toEqual(stolen)
    expect(signed).toContain('director: - server')
    expect(await page.play('server')).toContain(stolen[0])
    await page.play('server')
    page.set('NETLINK_TOKEN', (await readFile(join(page.folder, 'admin-2.token'), 'utf8')).trim())
    await page.play('host')

    expect(await page.works('publisher', 'netlink-publish list --dir pub --token-file publish-2.token')).toContain(
      '0a2',
    )
    await page.play('publisher')
    await page.play('host')
    expect(await page.works('host', 'netlink update version')).toContain('0a2')
    await page.play('server')
    await page.speak('web-01')
    expect(await page.works('admin', 'netlink-admin hosts show web-01')).not.toContain('forked')
    page.end()
  },
  240_000,
)
