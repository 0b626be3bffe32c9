import { expect, test } from 'vitest'
import { enrolment, rehearse } from './rehearsal.ts'

test('a stolen enrolment token enrols nobody any more, and the machine that came with it is forgotten', async () => {
  const page = await rehearse('enrolment-token')
  // The thief's machine does not get the name of a host; under another one it is a host now.
  const impostor = await page.type('host', `export NETLINK_HOME=$PWD/thief\n${enrolment('web-01')}`)
  expect(impostor).toMatchObject({ status: 3, stderr: expect.stringContaining('E-NAME-TAKEN') })
  await page.works('host', `export NETLINK_HOME=$PWD/thief\n${enrolment('stranger-01')}`)
  expect(await page.works('admin', 'netlink-admin hosts list')).toContain('stranger-01')

  await page.play('server')
  expect(await page.play('admin')).toContain('stranger-01')
  await page.play('server')

  const hosts = await page.play('admin')
  expect(hosts).toContain('web-01')
  expect(hosts).not.toContain('stranger-01')
  const again = await page.type('host', `export NETLINK_HOME=$PWD/thief-2\n${enrolment('stranger-02')}`)
  expect(again).toMatchObject({ status: 5, stderr: expect.stringContaining('E-TOKEN') })
  expect(await page.type('host', 'NETLINK_HOME=$PWD/thief netlink update check')).toMatchObject({ status: 0 })
  await page.works('host', `export NETLINK_HOME=$PWD/honest\n${enrolment('web-02', 'enroll-2.token')}`)
  await page.works('host', 'netlink update check')
  page.end()
}, 180_000)
