// An authorisation to send hosts down: by a threshold of the channel's keys, from what is published, for a week at most.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { answerOf, openWorld } from './world.ts'

const HOST = `h_${'1'.repeat(32)}`
const OTHER = `h_${'2'.repeat(32)}`

test('is signed by two of three, offline too, and refused where a host would refuse', async () => {
  const world = await openWorld()
  expect(await world.init(['alice', 'bob', 'carol'], '--threshold', '2')).toMatchObject({ status: 0 })
  const both = ['alice', 'bob']
  for (const [version, app] of [
    ['0a1', 'app-v1'],
    ['0a2', 'app-v2'],
    ['0a3', 'app-v1'],
  ] as const)
    expect(await world.signing(both, 'release', version, '--from', app)).toMatchObject({ status: 0 })
  const way = (from: string, to: string, out: string) =>
    [
      'authorize-downgrade',
      '--host',
      HOST,
      '--from',
      from,
      '--to',
      to,
      '--reason',
      'it eats mail',
      '--out',
      out,
    ] as const
  const there = (name: string) =>
    readFile(join(world.folder, name)).then(
      () => true,
      () => false,
    )

  const alone = await world.signing(['alice'], ...way('0a2', '0a1', 'alone.json'))
  expect(alone).toMatchObject({ status: 7, stdout: '', stderr: expect.stringContaining('missing one of bob, carol') })
  expect(alone.stderr).toContain('alone.json is written and not complete: no server and no host takes it')
  for (const name of ['bob', 'carol'])
    expect(alone.stderr).toContain(`netlink-publish sign alone.json --signer ${name}      (where ${name}'s keys are)`)
  expect(JSON.parse(await readFile(join(world.folder, 'alone.json'), 'utf8')).signatures).toHaveLength(1)
  const long = await world.signing(both, ...way('0a2', '0a1', 'long.json'), '--expires', '8d')
  expect(long).toMatchObject({ status: 2, stderr: expect.stringContaining('up to 7d') })
  const up = await world.signing(both, ...way('0a1', '0a2', 'up.json'))
  expect(up).toMatchObject({ status: 3, stderr: expect.stringContaining('0a2 is not older than 0a1') })
  const closed = await world.signing(both, ...way('0a3', '0a1', 'closed.json'))
  expect(closed).toMatchObject({ status: 3, stderr: expect.stringContaining('0a3 allows no downgrade') })
  const unknown = await world.signing(both, ...way('0a9', '0a1', 'unknown.json'))
  expect(unknown).toMatchObject({ status: 3 })
  const nobody = await world.signing(both, ...way('0a2', '0a1', 'nobody.json'), '--host', 'web-1')
  expect(nobody).toMatchObject({ status: 2, stderr: expect.stringContaining('is no host id') })
  const wordy = await world.signing(both, ...way('0a2', '0a1', 'wordy.json'), '--reason', 'x'.repeat(2001))
  expect(wordy).toMatchObject({ status: 2, stderr: expect.stringContaining('2000 characters, not 2001') })
  const crowd = [...Array(200).keys()].flatMap((number) => ['--host', `h_${String(number).padStart(32, '0')}`])
  const crowded = await world.signing(both, ...way('0a2', '0a1', 'crowded.json'), ...crowd)
  expect(crowded).toMatchObject({ status: 2, stderr: expect.stringContaining('at most 200 hosts, not 201') })
  for (const name of ['long', 'up', 'closed', 'unknown', 'nobody', 'wordy', 'crowded'])
    expect(await there(`${name}.json`)).toBe(false)

  const made = await world.signing(both, ...way('0a2', '0a1', 'down.json'), '--host', OTHER, '--json')
  expect(made, made.stdout).toMatchObject({ status: 0 })
  expect(answerOf(made)).toMatchObject({ hosts: [HOST, OTHER], from: '0a2', to: '0a1', signed_by: both })
  const { signed } = JSON.parse(await readFile(join(world.folder, 'down.json'), 'utf8'))
  expect(signed).toMatchObject({ _type: 'downgrade-authorization', reason: 'it eats mail', product: 'demo' })
  expect(Date.parse(signed.expires) - Date.parse(signed.not_before)).toBe(7 * 86_400_000)

  const again = await world.signing(both, ...way('0a2', '0a1', 'down.json'))
  expect(again).toMatchObject({ status: 3, stderr: expect.stringContaining('is there already and holds something') })
  expect(JSON.parse(await readFile(join(world.folder, 'down.json'), 'utf8')).signed).toEqual(signed)
  const offline = await world.signing(
    both,
    ...way('0a2', '0a1', 'offline.json'),
    '--offline',
    '--server',
    'http://127.0.0.1:9',
  )
  expect(offline, offline.stderr).toMatchObject({ status: 0 })
  const next = JSON.parse(await readFile(join(world.folder, 'offline.json'), 'utf8')).signed
  expect(next.nonce).not.toBe(signed.nonce)
}, 120_000)
