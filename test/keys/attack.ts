import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import type { TrustErrorCode } from '../../keys/trust-error.ts'
import { type SimRepository, utf8 } from '../sim/repository.ts'
import { refusalOf } from './refusal.ts'
import { buildTrustWorld, type TrustWorld, useRelease } from './trust-world.ts'

/** What somebody does to the world. */
export type Story = (world: TrustWorld) => Promise<void> | void

/** One attack: what is done, why it is refused, and what is stored afterwards. */
export interface Attack {
  readonly name: string
  /** What both the attack and its control begin with; the host refreshes afterwards. */
  readonly given?: Story
  readonly attack: Story
  readonly control: Story
  readonly code: TrustErrorCode
  /** What the refusal speaks of. */
  readonly role?: string
  /** Stored versions afterwards that differ from before the attack: what was good was kept. */
  readonly stored?: Readonly<Record<string, number>>
}

/**
 * What an attacker serves, and what the host does: it is refused for the reason named, and nothing is stored that was not trusted; then the honest
 * repository goes on and the next good update works. The control is the same story one edit away, and succeeds.
 */
export function testAttacks(title: string, attacks: readonly Attack[]): void {
  describe(title, () => {
    it.each(attacks)('$name', async ({ given, attack, control, code, role, stored }) => {
      const world = await worldOf(given)
      const before = world.store.versions()
      const honest = world.repo.copy()

      await attack(world)
      const refusal = await refusalOf(() => useRelease(world))

      expect(refusal.code).toBe(code)
      if (role) expect(refusal.facts.role).toBe(role)
      const expected = Object.entries({ ...before, ...stored }).filter(([, version]) => version > 0)
      expect(world.store.versions()).toEqual(Object.fromEntries(expected))

      await goOn(world, honest)
      await useRelease(world)

      const other = await worldOf(given)
      await control(other)
      await useRelease(other)
    })
  })
}

async function worldOf(given: Story | undefined): Promise<TrustWorld> {
  const world = await buildTrustWorld()
  await given?.(world)
  await useRelease(world)
  return world
}

/** The honest publisher comes back: past everything that was stored in the meantime, on the root that the host has by now. */
async function goOn(world: TrustWorld, honest: SimRepository): Promise<void> {
  const attacked = world.repo
  world.repo = honest
  const seen = world.store.versions().root ?? 1
  if (seen > honest.root.version) {
    // The new root was valid, so the honest publisher is the one who made it: it goes on from there, with the keys it had before.
    for (let version = honest.root.version + 1; version <= seen; version++) {
      honest.files.set(`${version}.root.json`, attacked.file(`${version}.root.json`))
    }
    honest.root.version = seen
    await honest.publish('root')
  }
  for (let i = 0; i < 3; i++) await honest.publish('targets', 'alpha')
}

type RawFile = Record<string, unknown> & { signatures: unknown }

/** Changes a served file without signing it again. */
export function edit(
  repo: SimRepository,
  name: string,
  change: (file: RawFile) => object,
  spoil = (text: string) => text,
): void {
  const file = JSON.parse(new TextDecoder().decode(repo.file(name))) as RawFile
  repo.files.set(name, utf8(spoil(JSON.stringify(change(file), null, 1))))
}

/** Changes what a served file says and signs it again with the role's own keys. */
export async function resign(
  repo: SimRepository,
  name: string,
  role: string,
  change: (signed: Record<string, unknown>) => void,
): Promise<void> {
  const { signed } = JSON.parse(new TextDecoder().decode(repo.file(name))) as { signed: Record<string, unknown> }
  change(signed)
  try {
    repo.files.set(name, await repo.sign(signed, repo.signersOf(role)))
  } catch {
    // What canonical JSON can't say can't be signed either: served all the same, under the old signature.
    edit(repo, name, (file) => ({ ...file, signed }))
  }
}

export function roleIn(signed: Record<string, unknown>, role: string): JsonObject {
  const roles = signed.roles as Record<string, JsonObject>
  return roles[role] ?? {}
}

export function first(signatures: unknown): JsonObject {
  return (signatures as JsonObject[])[0] ?? {}
}
