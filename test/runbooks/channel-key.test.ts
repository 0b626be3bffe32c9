import { expect, test } from 'vitest'
import { REHEARSED, rehearse, signersOf } from './rehearsal.ts'

test.runIf(REHEARSED)(
  'a holder whose keyring was stolen leaves, another one joins, and only the present ones can sign',
  async () => {
    const page = await rehearse('channel-key')
    await page.works(
      'publisher',
      'printf "a passphrase of dora\\n" > dora.pass && chmod 600 dora.pass && cp -r pub thief',
    )
    const byThief = (version: string) =>
      page.type('publisher', `netlink-publish release ${version} --dir thief --from app-v2 ${signersOf(['carol'])}`)
    expect((await byThief('0a7')).status).toBe(7)

    await page.play('publisher')
    await page.play('publisher')

    const shown = await page.play('publisher')
    expect(shown).toContain('dora')
    expect(shown).not.toContain('carol')
    expect(await page.play('host')).toContain('0a2')
    const two = `netlink-publish release 0a8 --dir thief --from app-v2 ${signersOf(['carol', 'alice'])}`
    expect((await page.type('publisher', two)).status).not.toBe(0)
    expect(await page.works('host', 'netlink update check')).not.toContain('0a8')
    page.end()
  },
  180_000,
)
