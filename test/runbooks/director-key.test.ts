import { expect, test } from 'vitest'
import { REHEARSED, type Rehearsal, rehearse } from './rehearsal.ts'

/** Whom the published targets names, as a stranger reads it. */
async function directorsOf({ works }: Rehearsal): Promise<readonly string[]> {
  const shown = JSON.parse(await works('publisher', 'netlink-publish root show --dir pub --json')) as {
    roles: { role: string; keys: { keyid: string }[] }[]
  }
  return shown.roles.find(({ role }) => role === 'director')?.keys.map(({ keyid }) => keyid) ?? []
}

test.runIf(REHEARSED)(
  'a stolen director key directs nobody any more, and the new one does',
  async () => {
    const page = await rehearse('director-key')
    // Directed by the key that is stolen, the host stays where its thief wants it.
    await page.works('publisher', 'netlink-publish release 0a2 --dir pub --from app-v2 $SIGN')
    await page.works('admin', 'netlink-admin hosts pin web-01 --to 0a1')
    expect(await page.works('host', 'netlink update check')).toMatch(/assigned/)
    const before = await page.works('server', 'netlink-server keys list --dir srv --json')
    const [stolen = ''] = await directorsOf(page)

    await page.play('server')
    const signed = await page.play('publisher')
    const [fresh = ''] = await directorsOf(page)
    expect(signed).toContain(`director: + server ${fresh.slice(0, 16)}`)
    expect(signed).toContain(`director: - server ${stolen.slice(0, 16)}`)
    // It is not pruned yet, and goes nowhere all the same.
    const exported = 'netlink-server keys export --dir srv --json'
    expect(JSON.parse(await page.works('server', exported)).online_keys.director).toHaveLength(1)
    expect(await page.play('server')).toContain(stolen)
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
    expect(await page.play('publisher')).toContain(`server ${fresh.slice(0, 16)}`)
    expect(await page.play('host')).toMatch(/assigned/)
    page.end()

    // What other runbooks make of the same server names the new one alone.
    await page.works('server', 'netlink-server keys rotate snapshot timestamp --at-once --dir srv --out later.json')
    await page.works('publisher', 'netlink-publish root rotate --online-keys later.json --dir pub $SIGN')
    expect(await directorsOf(page)).toEqual([fresh])
    // And stolen once more, it is another.
    await page.works('server', 'netlink-server keys rotate director --at-once --dir srv --out again.json')
    await page.works('publisher', 'netlink-publish root rotate --online-keys again.json --dir pub $SIGN')
    expect(await directorsOf(page)).toHaveLength(1)
    expect([stolen, fresh]).not.toContain((await directorsOf(page))[0])
  },
  240_000,
)
