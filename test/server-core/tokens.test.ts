import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { parseToken } from '../../server/core/tokens.ts'
import { BY, coreWorld, dbKinds } from './world.ts'

const admin = { name: 'ann', scope: 'admin', group: null, expiresAt: null, uses: null } as const

describe.each(dbKinds)('tokens (%s database)', (kind) => {
  test('the secret is shown once, opens what it may, and lies nowhere', async () => {
    await using world = await coreWorld(kind)
    const { tokens } = world.core
    const { token, secret } = await tokens.create({ ...admin, scope: 'read', group: 'eu' }, BY)
    expect(secret).toMatch(new RegExp(`^nlk_read_${token.id}_[0-9a-f]{72}$`))
    expect(await tokens.authenticate(secret)).toEqual({
      actor: { kind: 'token', id: token.id, name: 'ann' },
      scope: 'read',
      group: 'eu',
    })
    const random = secret.split('_').at(-1)?.slice(0, 64) ?? ''
    const stored = await world.db.queries.execute(
      sql`select t::text || encode(secret_sha256, 'hex') as row from tokens t union all select a::text from audit a`,
    )
    expect(stored.length).toBeGreaterThan(1)
    for (const { row } of stored) expect(String(row)).not.toContain(random)
  })

  test('revoked, expired, rotated: the old one is worth nothing', async () => {
    await using world = await coreWorld(kind)
    const { tokens } = world.core
    const revoked = await tokens.create(admin, BY)
    await tokens.revoke(revoked.token.id, BY)
    expect(await tokens.revoke(revoked.token.id, BY)).toMatchObject({ revoked_at: '2026-11-23T10:00:00Z' })
    await expect(tokens.authenticate(revoked.secret)).rejects.toMatchObject({
      code: 'unauthenticated',
      facts: { reason: 'revoked-token' },
    })

    const rotated = await tokens.create(admin, BY)
    const next = await tokens.rotate(rotated.token.id, BY)
    await expect(tokens.authenticate(rotated.secret)).rejects.toMatchObject({ facts: { reason: 'revoked-token' } })
    expect(await tokens.authenticate(next.secret)).toMatchObject({ scope: 'admin' })
    await expect(tokens.rotate(rotated.token.id, BY)).rejects.toMatchObject({ code: 'conflict' })

    const expiring = await tokens.create({ ...admin, expiresAt: new Date(world.clock.now().getTime() + 1_000) }, BY)
    await tokens.authenticate(expiring.secret)
    world.clock.advance({ seconds: 1 })
    await expect(tokens.authenticate(expiring.secret)).rejects.toMatchObject({ facts: { reason: 'expired-token' } })
    for (const id of ['0'.repeat(12), 'nothing'])
      await expect(tokens.revoke(id, BY)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('one digit, one scope, one id away nothing opens', async () => {
    await using world = await coreWorld(kind)
    const { secret } = await world.core.tokens.create({ ...admin, scope: 'read' }, BY)
    const refused = { code: 'unauthenticated' }
    for (const wrong of [
      secret.slice(0, -1),
      `${secret}0`,
      secret.replace('nlk_read', 'nlk_admin'),
      secret.toUpperCase(),
      '',
      ' ',
      `${secret}\n`,
    ]) {
      await expect(world.core.tokens.authenticate(wrong)).rejects.toMatchObject(refused)
    }
    // Whoever enrols a host has no admin token to compare with.
    expect(() => parseToken('nlk_')).toThrow(/expected a token as the server gave it out/)
    const other = await world.core.tokens.create(admin, BY)
    expect(() => parseToken(other.secret)).not.toThrow()
    await world.core.tokens.authenticate(secret)
  })

  test('an enrolment token opens nothing else', async () => {
    await using world = await coreWorld(kind)
    const { secret } = await world.core.tokens.create({ ...admin, scope: 'host-enroll', uses: 3 }, BY)
    await expect(world.core.tokens.authenticate(secret)).rejects.toMatchObject({ code: 'forbidden' })
  })

  test('when it was last used is known after a while', async () => {
    await using world = await coreWorld(kind)
    const { secret, token } = await world.core.tokens.create(admin, BY)
    await world.core.tokens.authenticate(secret)
    expect((await world.core.tokens.list({})).items).toMatchObject([{ id: token.id, last_used_at: null }])
    await world.core.close()
    const core = await world.another()
    expect((await core.tokens.list({})).items).toMatchObject([{ id: token.id, last_used_at: '2026-11-23T10:00:00Z' }])
  })

  test('requests that make no sense are refused with their place', async () => {
    await using world = await coreWorld(kind)
    const { tokens } = world.core
    const invalid = (pointer: string) => ({ code: 'invalid', facts: { issues: [{ pointer }] } })
    await expect(tokens.create({ ...admin, name: '' }, BY)).rejects.toMatchObject(invalid('/name'))
    await expect(tokens.create({ ...admin, uses: 3 }, BY)).rejects.toMatchObject(invalid('/uses'))
    await expect(tokens.create({ ...admin, scope: 'host-enroll', uses: 0 }, BY)).rejects.toMatchObject(invalid('/uses'))
    await expect(tokens.create({ ...admin, expiresAt: world.clock.now() }, BY)).rejects.toMatchObject(
      invalid('/expires_at'),
    )
    expect((await tokens.list({})).items).toEqual([])
  })

  test('a dry run leaves nothing', async () => {
    await using world = await coreWorld(kind)
    const dry = { ...BY, dryRun: true }
    await world.core.tokens.create(admin, dry)
    await world.core.fleet.setBrake(true, { ...dry, reason: 'only looking' })
    expect((await world.core.tokens.list({})).items).toEqual([])
    expect(world.core.fleet.brake()).toMatchObject({ paused: false })
    expect((await world.core.audit.list({})).items).toEqual([])
  })

  test('pages of tokens, newest first', async () => {
    await using world = await coreWorld(kind)
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await world.core.tokens.create({ ...admin, name }, BY)
      if (name !== 'c') world.clock.advance({ seconds: 1 })
    }
    const first = await world.core.tokens.list({ limit: 3 })
    const second = await world.core.tokens.list({ limit: 3, cursor: first.next_cursor })
    const names = [...first.items, ...second.items].map(({ name }) => name)
    expect(names[0]).toBe('e')
    expect([...names].sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(second.next_cursor).toBeNull()
  })
})

describe('the audit log', () => {
  test('says who, what, why, before and after, and cannot be edited', async () => {
    await using world = await coreWorld()
    const { core, db } = world
    await core.fleet.setBrake(true, {
      actor: { kind: 'token', id: 't1', name: 'ann' },
      reason: 'disk alarms',
      requestId: 'r-1',
    })
    await core.fleet.setBrake(false, { ...BY, reason: 'all well' })
    const { items } = await core.audit.list({})
    expect(items).toMatchObject([
      { action: 'brake.resume', reason: 'all well', before: { paused: true }, after: { paused: false } },
      {
        action: 'brake.pause',
        actor: { kind: 'token', id: 't1', name: 'ann' },
        reason: 'disk alarms',
        request_id: 'r-1',
        before: { paused: false, reason: null, since: null },
        after: { paused: true, reason: 'disk alarms', since: '2026-11-23T10:00:00Z' },
      },
    ])
    for (const statement of ['update audit set reason = null', 'delete from audit', 'truncate audit']) {
      await expect(db.queries.execute(sql.raw(statement))).rejects.toMatchObject({
        cause: { message: expect.stringContaining('appended') },
      })
    }
    expect((await core.audit.list({ action: 'brake.pause' })).items).toHaveLength(1)
    expect((await core.audit.list({ since: new Date('2026-11-23T10:00:01Z') })).items).toEqual([])
    const page = await core.audit.list({ limit: 1 })
    expect((await core.audit.list({ limit: 1, cursor: page.next_cursor })).items).toMatchObject([
      { action: 'brake.pause' },
    ])
  })

  test('a brake without a reason is refused; pulled again it keeps its time', async () => {
    await using world = await coreWorld()
    const { fleet } = world.core
    await expect(fleet.setBrake(true, { ...BY, reason: ' ' })).rejects.toMatchObject({ code: 'invalid' })
    await fleet.setBrake(true, { ...BY, reason: 'one' })
    world.clock.advance({ hours: 1 })
    expect(await fleet.setBrake(true, { ...BY, reason: 'two' })).toEqual({
      paused: true,
      reason: 'two',
      since: '2026-11-23T10:00:00Z',
    })
    expect(fleet.brake()).toEqual({ paused: true, reason: 'two', since: '2026-11-23T10:00:00Z' })
  })
})
