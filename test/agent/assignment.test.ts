// What the server directs a host to do, and a server in an attacker's hands that directs it. The host runs 0a2; by its own policy it would go to 0a4. Every
// refusal has its control: the same statement, unedited, leads to 0a3.
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Asked } from '../../agent/decide.ts'
import type { Signer } from '../../keys/signer.ts'
import { type AssignmentWorld, type Fields, onTwo, short } from './assignment-world.ts'

const OTHER = `h_${'2'.repeat(32)}`

describe('a server in an attacker’s hands', () => {
  let world: AssignmentWorld
  beforeAll(async () => {
    world = await onTwo()
  }, 60_000)
  afterAll(() => world.close())

  const keys = (role: string) => () => world.repo.signersOf(role)
  /** Refused at the first door: whatever was in force before stays, here nothing, so that the host goes by its own policy. */
  test.each<
    [
      words: string,
      changes: (world: AssignmentWorld) => Fields,
      signers: (() => readonly Signer[]) | undefined,
      code: string,
    ]
  >([
    ['unsigned', () => ({}), () => [], 'unsigned'],
    ['signed with the snapshot key', () => ({}), keys('snapshot'), 'unsigned'],
    ['signed with the timestamp key', () => ({}), keys('timestamp'), 'unsigned'],
    ['signed with the channel’s keys', () => ({}), keys('alpha'), 'unsigned'],
    ['for another host', () => ({ host_id: OTHER }), undefined, 'foreign'],
    ['of another product', () => ({ product: 'other' }), undefined, 'foreign'],
    ['expired', ({ time }) => ({ expires: time(-5) }), undefined, 'expired'],
    ['not yet valid', ({ time }) => ({ not_before: time(600) }), undefined, 'not-yet-valid'],
    ['of another kind', () => ({ _type: 'targets' }), undefined, 'wrong-role'],
    ['without a manifest hash', () => ({ manifest_sha256: null }), undefined, 'malformed'],
  ])('an assignment %s is refused by name and changes nothing', async (_words, changes, signers, code) => {
    // given nothing is in force
    world.say(await world.sign(world.assignment('0a3', { action: 'none', version: null, manifest_sha256: null })))
    expect(short(await world.look())).toBe('available 0a4')

    // when
    world.say(await world.sign(world.assignment('0a3', changes(world)), signers?.()))
    const refused = await world.look()

    // then
    expect(short(refused)).toBe(`available 0a4, refused ${code}`)
    expect(refused.assignment?.directive).toBeNull()
    expect(JSON.parse(await readFile(world.stateFile('check.json'), 'utf8')).assignment.refusal.code).toBe(code)

    // and the control
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
  })

  /** Refused at the second door: it is the director's word, and the host stays where it is and says why. */
  test.each<
    [words: string, version: string, changes: (world: AssignmentWorld) => Fields, code: string, message: RegExp]
  >([
    [
      'a version that nobody lists',
      '0a9',
      () => ({ manifest_sha256: 'b'.repeat(64) }),
      'not-delegated',
      /0a9 is not listed/,
    ],
    [
      'a version that its channel does not offer',
      '0b9',
      () => ({ manifest_sha256: 'b'.repeat(64) }),
      'not-delegated',
      /0b9/,
    ],
    [
      'a version with another manifest',
      '0a3',
      () => ({ manifest_sha256: 'b'.repeat(64) }),
      'hash',
      /expected a manifest of 0a3/,
    ],
    ['an older version without an authorisation', '0a1', () => ({}), 'rollback', /went from 0a2 to 0a1/],
    [
      'the installed version with another manifest',
      '0a2',
      () => ({ manifest_sha256: 'b'.repeat(64) }),
      'hash',
      /is installed/,
    ],
    [
      'an authorisation that is none',
      '0a1',
      () => ({ action: 'downgrade', authorization: '{}' }),
      'malformed',
      /signed/,
    ],
  ])('an assignment to %s is refused by name, and the host stays', async (_words, version, changes, code, message) => {
    world.say(await world.sign(world.assignment(version, changes(world))))
    const refused = await world.look()
    expect(short(refused)).toBe(`waiting assignment_refused, refused ${code}`)
    expect(refused.assignment?.refused?.message).toMatch(message)
    expect(refused.decision).toMatchObject({ detail: expect.stringContaining(`${code}: `) })
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('an assignment to a release for another platform is refused as such', async () => {
    await world.repo.release('0a5', { artifacts: [{ ...(await artifactOf(world, '0a4')), platform: 'plan9-mips' }] })
    world.say(await world.sign(world.assignment('0a5')))
    const refused = await world.look()
    expect(short(refused)).toBe('waiting incompatible')
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('a lower number, the same number and a replayed document are refused, and the last one stays in force', async () => {
    const first = await world.sign(world.assignment('0a4'))
    const second = world.assignment('0a3')
    world.say(first)
    expect(short(await world.look())).toBe('available 0a4')
    world.say(await world.sign(second))
    expect(short(await world.look())).toBe('available 0a3')
    // The very same again is no news.
    expect(short(await world.look())).toBe('available 0a3')

    world.say(first)
    const replayed = await world.look()
    expect(short(replayed)).toBe('available 0a3, refused rollback')
    expect(replayed.assignment?.refused?.message).toMatch(/rollback: assignment went from number \d+ to number \d+/)
    world.say(await world.sign({ ...second, version: '0a4', manifest_sha256: world.hashOf('0a4') }))
    expect(short(await world.look())).toBe('available 0a3, refused rollback')
    world.say(await world.sign({ ...second, version: '0a4', manifest_sha256: world.hashOf('0a4'), sequence: 1 }))
    expect(short(await world.look())).toBe('available 0a3, refused rollback')

    world.say(await world.sign(world.assignment('0a4')))
    expect(short(await world.look())).toBe('available 0a4')
  })

  test('the numbers are remembered where the answer is lost, and a damaged memory takes no assignment at all', async () => {
    const old = await world.sign(world.assignment('0a3'))
    world.say(await world.sign(world.assignment('0a4')))
    expect(short(await world.look())).toBe('available 0a4')
    const file = world.stateFile('assignment.json')
    const whole = await readFile(file)
    await writeFile(file, whole.subarray(0, 40))
    world.say(old)
    expect(short(await world.look())).toBe('available 0a4, refused malformed')
    await writeFile(file, whole)
    expect(short(await world.look())).toBe('available 0a4, refused rollback')
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('no answer, nonsense and an endless answer leave what is in force', async () => {
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
    const path = '/api/v1/agent/assignment'
    const honest = world.tricks.get(path)
    for (const body of ['', 'no', '{"document":7}', `{"document":"${'x'.repeat(400_000)}"}`]) {
      world.tricks.set(path, (_request, response) => void response.end(body))
      expect(short(await world.look())).toBe('available 0a3')
    }
    world.tricks.set(path, (_request, response) => void response.writeHead(404).end())
    expect(short(await world.look())).toBe('available 0a3')
    if (honest) world.tricks.set(path, honest)
    world.say(null)
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('when its time is over, or its key is taken away, an assignment is none', async () => {
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
    expect(short(await world.look(2 * 3_600_000))).toBe('available 0a4')
    // A thief of the director's key uses up all numbers: they fall with the key.
    world.say(await world.sign(world.assignment('0a3', { sequence: Number.MAX_SAFE_INTEGER })))
    expect(short(await world.look())).toBe('available 0a3')
    world.say(await world.sign(world.assignment('0a4')))
    expect(short(await world.look())).toBe('available 0a3, refused rollback')
    world.repo.rotateKeys('director')
    await world.repo.publish('targets')
    expect(short(await world.look())).toBe('available 0a4, refused unsigned')
    world.say(await world.sign(world.assignment('0a3')))
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('every refusal is told once: in status, in check and in a report', async () => {
    const stranger = `h_${'3'.repeat(32)}`
    world.say(await world.sign(world.assignment('0a3', { host_id: stranger })))
    for (let looks = 0; looks < 3; looks++) await world.look()
    expect((await world.run('update', 'check')).stdout).toMatch(
      /assigned {2}refused: foreign: assignment: expected one for h_/,
    )
    expect((await world.run('update', 'status', '--explain')).stdout).toMatch(/assigned.*refused: foreign/)
    await world.tick()
    const refusals = world.reports.flatMap(({ body }) => (body.type === 'refusal' ? [body.refusal] : []))
    expect(refusals.filter(({ message }) => message.includes(stranger)).map(({ code }) => code)).toEqual(['foreign'])
  })
})

describe('within its own policy', () => {
  let world: AssignmentWorld
  beforeAll(async () => {
    world = await onTwo()
    world.say(await world.sign(world.assignment('0a3')))
  }, 60_000)
  afterAll(() => world.close())

  const by = (changes: object): Asked => ({
    by: 'host',
    policy: { mode: 'auto', window: { kind: 'always' }, minRemainingMs: 0, jitterMs: 0, minimumSoakMs: 0, ...changes },
    firstSeen: () => null,
    place: () => 1,
  })

  test('mode, window, jitter, soak, hold and brake come before the director', async () => {
    expect(short(await world.look(0, by({ mode: 'off' })))).toBe('waiting automatic_off')
    expect(short(await world.look(0, by({ mode: 'notify' })))).toBe('waiting notify_only')
    expect(short(await world.look(0, by({ jitterMs: 60_000 })))).toBe('waiting jitter')
    expect(short(await world.look(0, by({ minimumSoakMs: 60_000 })))).toBe('waiting soak')
    await world.run('update', 'hold', '--reason', 'not now')
    expect(short(await world.look())).toBe('waiting hold')
    await world.run('update', 'unhold')
    const released = JSON.parse(await readFile(world.stateFile('brake.json'), 'utf8'))
    await writeFile(world.stateFile('brake.json'), JSON.stringify({ ...released, paused: true, reason: 'stop' }))
    expect(short(await world.look())).toBe('waiting paused')
    await writeFile(
      world.stateFile('brake.json'),
      JSON.stringify({ ...released, parties: 'h_other https://left.example', paused: true }),
    )
    expect(short(await world.look())).toBe('available 0a3')
    await writeFile(world.stateFile('brake.json'), JSON.stringify(released))
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('a quarantined version is not installed again because the director says so', async () => {
    const entry = {
      version: '0a3',
      update_id: 'update_0a2_0a3_20261123_100000',
      at: '2026-11-23T10:00:00Z',
      code: 'x',
      message: 'it failed',
    }
    await writeFile(
      world.stateFile('quarantine.json'),
      JSON.stringify({ schema: 'netlink.quarantine/v1', versions: [entry] }),
    )
    expect(short(await world.look())).toBe('waiting quarantined')
    await writeFile(
      world.stateFile('quarantine.json'),
      JSON.stringify({ schema: 'netlink.quarantine/v1', versions: [] }),
    )
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('a version that was withdrawn is not installed', async () => {
    const channel = world.repo.role('alpha').channel as { withdrawn: object[] }
    channel.withdrawn.push({
      version: '0a3',
      reason: 'bad',
      severity: 'high',
      replace_with: null,
      at: '2026-11-23T10:00:00Z',
    })
    await world.repo.publish('alpha')
    expect(short(await world.look())).toBe('waiting withdrawn')
    channel.withdrawn.length = 0
    await world.repo.publish('alpha')
    expect(short(await world.look())).toBe('available 0a3')
  })

  test('a person at the host is shown it and not bound by it', async () => {
    const answer = await world.json('update', 'check')
    expect(answer).toMatchObject({
      latest_version: '0a4',
      assignment: { in_force: { action: 'update', version: '0a3' }, refusal: null },
    })
  })
})

async function artifactOf(world: AssignmentWorld, version: string): Promise<object> {
  const [, bytes] = [...world.repo.targetFiles].find(([path]) => path.startsWith(`alpha/${version}/`)) ?? []
  return JSON.parse(Buffer.from(bytes ?? '').toString('utf8')).artifacts[0]
}
