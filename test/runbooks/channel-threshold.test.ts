import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { enrolment, REHEARSED, type Rehearsal, rehearse, signersOf } from './rehearsal.ts'
import { published, resign } from './theft.ts'

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

const HIGHEST = `999999999999999a999999999999999+${'z'.repeat(64)}`

/** What the server answers to alpha's role with these changes, signed with the stolen keys and sent with the stolen token. */
async function publishAlpha({ folder, server }: Rehearsal, before: number, changes: object): Promise<[number, string]> {
  const deps = { disk: buildKeyFileDisk(nodeDisk) }
  const signers = []
  for (const name of ['alice', 'carol'])
    signers.push(
      ...(await openKeyring(deps, join(folder, 'pub', 'keys', `${name}.age`), `${name}'s passphrase`)).signersFor(
        'alpha',
      ),
    )
  const alpha = await resign(await readFile(published(folder, `${before}.alpha.json`)), changes, signers)
  const token = (await readFile(join(folder, 'srv', 'secrets', 'publish.token'), 'utf8')).trim()
  const answer = await fetch(`${server}/api/v1/publish/releases`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ metadata: { alpha: Buffer.from(alpha).toString('utf8') }, manifests: {}, dry_run: false }),
  })
  return [answer.status, await answer.text()]
}

test.runIf(REHEARSED)(
  'a thief who names the release, numbers the role and sets the minimum as high as they go ends nothing',
  async () => {
    const page = await rehearse('channel-threshold', (text) =>
      text.replaceAll('0a9', HIGHEST).replaceAll('0a10', '0a2'),
    )
    const deceived = (text: string) => `NETLINK_HOME="$PWD/deceived" netlink ${text}`
    await page.works('host', `export NETLINK_HOME="$PWD/deceived"; ${enrolment('web-02')}`)
    await page.works('host', deceived('update upgrade --latest --yes'))
    await page.works(
      'publisher',
      `cp -r pub thief && netlink-publish release ${HIGHEST} --dir thief --token-file srv/secrets/publish.token --from app-v2 ${signersOf(['alice', 'carol'])}`,
    )
    await page.works('host', deceived('update upgrade --latest --yes'))
    const role = JSON.parse(await readFile(published(page.folder, '3.alpha.json'), 'utf8')).signed
    const channel = { ...role.channel, minimum: HIGHEST }
    for (const version of [100_004, 2 ** 31 - 1, Number.MAX_SAFE_INTEGER])
      expect(await publishAlpha(page, 3, { version })).toEqual([422, expect.stringContaining('out-of-reach')])
    expect(await publishAlpha(page, 3, { version: 100_003, channel })).toEqual([200, expect.anything()])

    await page.play('admin')
    await page.play('server')
    await page.play('publisher')
    await page.play('server')
    await page.play('publisher')
    await page.play('publisher')
    await page.play('admin')
    await page.play('publisher')
    expect(await page.play('host')).toContain('0a2')
    await page.works('host', 'netlink update upgrade --latest --yes')
    expect(await page.works('host', 'netlink update check')).not.toContain(HIGHEST)

    // A host that is built anew, and one that goes on with what it has run.
    const anew = (text: string) => `NETLINK_HOME="$PWD/anew" netlink ${text}`
    await page.works('host', `export NETLINK_HOME="$PWD/anew"; ${enrolment('web-03')}`)
    expect(await page.works('host', anew('update check'))).toContain('below')
    const lower = `netlink-publish minimum 0a2 --allow-lower --dir pub --token-file publish-2.token ${signersOf(['alice', 'bob'])}`
    await page.works('publisher', lower)
    await page.works('host', anew('update upgrade --latest --yes'))
    expect(await page.works('host', anew('update version'))).toContain('0a2')
    expect(await page.works('host', deceived('update check'))).not.toContain('0a2 available')
    await page.works('host', deceived('update rollback --yes'))
    expect(await page.works('host', deceived('update check'))).toContain('which this host has already run')
    await page.works('host', deceived('update upgrade --to 0a2 --yes'))
    expect(await page.works('host', deceived('update version'))).toContain('0a2')
    page.end()
  },
  300_000,
)
