// The whole way under a director: up as assigned, down once by an offline authorisation, and from the socket's word to what is installed.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AssignmentWorld, AUTO, type Fields, onTwo, short } from './assignment-world.ts'

const OTHER = `h_${'2'.repeat(32)}`

describe('the whole way on one host', () => {
  let world: AssignmentWorld
  beforeAll(async () => {
    world = await onTwo()
  }, 60_000)
  afterAll(() => world.close())

  const down = async (authorization: string, changes: Fields = {}) =>
    world.sign(world.assignment('0a1', { action: 'downgrade', authorization, ...changes }))

  test('a way down needs an authorisation that was signed offline for this host, these releases, now', async () => {
    const whole = () => world.authorization('0a2', '0a1')
    const [one] = world.repo.signersOf('alpha')
    const cases: readonly [code: string, document: string][] = [
      ['foreign', await world.signAuthorization({ ...whole(), hosts: [OTHER] })],
      ['foreign', await world.signAuthorization({ ...whole(), product: 'other' })],
      [
        'foreign',
        await world.signAuthorization({ ...whole(), from: { version: '0a3', manifest_sha256: world.hashOf('0a3') } }),
      ],
      [
        'foreign',
        await world.signAuthorization({ ...whole(), from: { version: '0a2', manifest_sha256: 'b'.repeat(64) } }),
      ],
      ['hash', await world.signAuthorization({ ...whole(), to: { version: '0a1', manifest_sha256: 'b'.repeat(64) } })],
      [
        'wrong-version',
        await world.signAuthorization({ ...whole(), to: { version: '0b1', manifest_sha256: 'b'.repeat(64) } }),
      ],
      ['expired', await world.signAuthorization({ ...whole(), expires: world.time(-5) })],
      ['not-yet-valid', await world.signAuthorization({ ...whole(), not_before: world.time(600) })],
      ['malformed', await world.signAuthorization({ ...whole(), expires: world.time(8 * 86_400) })],
      ['unsigned', await world.signAuthorization(whole(), one ? [one] : [])],
      ['unsigned', await world.signAuthorization(whole(), world.repo.signersOf('director'))],
      ['unsigned', await world.signAuthorization(whole(), world.repo.signersOf('beta'))],
    ]
    for (const [code, document] of cases) {
      world.say(await down(document))
      expect(short(await world.look()), document).toBe(`waiting assignment_refused, refused ${code}`)
    }
    world.say(await down(await world.signAuthorization(whole())))
    expect(short(await world.look())).toBe('available 0a1')
  })

  test('and the installed release’s own word, and the host’s policy', async () => {
    world.say(await down(await world.signAuthorization(world.authorization('0a2', '0a1'))))
    await world.run('update', 'hold')
    expect(short(await world.look())).toBe('waiting hold')
    await world.run('update', 'unhold')
    expect(short(await world.look())).toBe('available 0a1')
  })

  test('it goes up as assigned and stays there, goes down once, and nothing brings it up by itself but a newer release', async () => {
    // up, and it stays although 0a4 is there
    world.say(await world.sign(world.assignment('0a3')))
    await world.tick()
    expect(await world.runs()).toBe('0a3')
    await world.tick()
    expect(await world.runs()).toBe('0a3')
    expect(short(await world.look())).toBe('waiting assigned')

    // its release allows no way down: the authorisation alone is not enough
    world.say(await down(await world.signAuthorization(world.authorization('0a3', '0a1'))))
    expect(short(await world.look())).toBe('waiting incompatible')

    // 0a5 does
    await world.publish('0a5', { compatibility: { downgrade_to: ['0a3'] } })
    world.say(await world.sign(world.assignment('0a5')))
    await world.tick()
    expect(await world.runs()).toBe('0a5')
    const authorization = await world.signAuthorization(world.authorization('0a5', '0a3'))
    const order = world.assignment('0a3', { action: 'downgrade', authorization })
    world.say(await world.sign(order))
    await world.tick()
    expect(await world.runs()).toBe('0a3')
    expect(JSON.parse(await readFile(world.stateFile('floor.json'), 'utf8')).floor).toBe('0a5')

    // it stays as long as that is in force; afterwards what it left stays away
    expect(short(await world.look())).toBe('waiting assigned')
    world.say(await world.sign(world.assignment('0a3', { action: 'none', version: null, manifest_sha256: null })))
    expect(short(await world.look())).toBe('waiting quarantined')

    // a person brings it back; the same authorisation works no second time
    expect((await world.run('update', 'upgrade', '--to', '0a5', '--yes')).status).toBe(0)
    const again = world.assignment('0a3', { action: 'downgrade', authorization })
    world.say(await world.sign(again))
    const used = await world.look()
    expect(short(used)).toBe('waiting assignment_refused, refused rollback')
    expect(used.assignment?.refused?.message).toMatch(/was used on this host already/)
    await world.tick()
    expect(await world.runs()).toBe('0a5')

    // and a fresh one does
    const fresh = await world.signAuthorization(world.authorization('0a5', '0a3'))
    world.say(await world.sign(world.assignment('0a3', { action: 'downgrade', authorization: fresh })))
    await world.tick()
    expect(await world.runs()).toBe('0a3')
  }, 60_000)

  test('what the socket said is taken by the next look, without asking the server', async () => {
    await world.configure(AUTO.replace('mode: auto', 'mode: off'))
    const file = world.stateFile('assignment-offered.json')
    const document = await world.sign(world.assignment('0a4'))
    world.say(null)
    await writeFile(file, JSON.stringify({ document }))
    const asked = world.requests.filter((line) => line.includes('/agent/assignment')).length
    await world.tick(false)
    expect(world.requests.filter((line) => line.includes('/agent/assignment')).length).toBe(asked)
    const status = await world.json('update', 'status')
    expect(status.check.assignment).toMatchObject({ in_force: { version: '0a4' }, refusal: null })
  })
})

describe('an authorisation to go down', () => {
  /** On 0a2, directed down to 0a1, whose tree has to be fetched again. */
  const sentDown = async () => {
    const world = await onTwo()
    for (const name of await readdir(join(world.home, 'store')))
      if (name.startsWith('0a1')) await rm(join(world.home, 'store', name), { recursive: true })
    const authorization = await world.signAuthorization(world.authorization('0a2', '0a1'))
    world.say(await world.sign(world.assignment('0a1', { action: 'downgrade', authorization })))
    const used = async () => JSON.parse(await readFile(world.stateFile('assignment.json'), 'utf8')).used
    return { world, used, [Symbol.asyncDispose]: () => world.close() }
  }

  test.each<[what: string, trick: (response: ServerResponse) => void]>([
    ['is cut', (response) => response.destroy()],
    ['is not there', (response) => response.writeHead(404).end()],
    ['brings other bytes', (response) => response.end('something else')],
  ])(
    'is not used up by a download that %s: the next look goes down by it, once',
    async (_, trick) => {
      await using sent = await sentDown()
      const { world, used } = sent
      world.tricks.set('/repo/artifacts/', (__, response) => trick(response))
      await world.tick()
      expect([await world.runs(), await used()]).toEqual(['0a2', []])
      expect(short(await world.look())).toBe('available 0a1')

      world.tricks.delete('/repo/artifacts/')
      await world.tick()
      expect([await world.runs(), await used()]).toEqual(['0a1', [expect.any(String)]])
      expect((await world.run('update', 'upgrade', '--to', '0a2', '--yes')).status).toBe(0)
      expect(short(await world.look())).toBe('waiting assignment_refused, refused rollback')
      await world.tick()
      expect(await world.runs()).toBe('0a2')
    },
    60_000,
  )
})
