import { expect, test } from 'vitest'
import { REHEARSED, rehearse } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'a stolen director key directs nobody any more, and the new one does',
  async () => {
    const page = await rehearse('director-key')
    // Directed by the key that is stolen, the host stays where its thief wants it.
    await page.works('publisher', 'netlink-publish release 0a2 --dir pub --from app-v2 $SIGN')
    await page.works('admin', 'netlink-admin hosts pin web-01 --to 0a1')
    expect(await page.works('host', 'netlink update check')).toMatch(/assigned/)
    const before = await page.works('server', 'netlink-server keys list --dir srv --json')

    await page.play('server')
    await page.play('publisher')
    expect(await page.works('host', 'netlink update check')).not.toMatch(/assigned/)
    await page.play('admin')

    const directors = (text: string) =>
      JSON.parse(text).keys.filter(
        ({ role, state }: { role: string; state: string }) => role === 'director' && state === 'named',
      )
    await page.play('server')
    const after = await page.works('server', 'netlink-server keys list --dir srv --json')
    expect(directors(after)).toHaveLength(1)
    expect(directors(after)).not.toEqual(directors(before))
    expect(await page.play('host')).toMatch(/assigned/)
    page.end()
  },
  180_000,
)
