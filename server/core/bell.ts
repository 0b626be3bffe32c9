// Rings in every replica when something changed: at once through the database's notifications, and after a while by reading again, because a
// notification may get lost. A ring says what to read again; only the brake comes along whole, because it is small and urgent.
//
//   here: change committed -> ring -> database notifies -> every replica, this one too: remember, tell the listeners
//                                     lost?             -> `reread`, every few seconds and after a gap: tell what differs from what is remembered
import { sql } from 'drizzle-orm'
import { z } from 'zod'
import { type Brake, brakeShape } from '../../schema/protocol.ts'
import type { Bell, Published, Ring } from './core.ts'
import type { Db, Log, Unlisten } from './ports.ts'
import { wireTime } from './wire-time.ts'

const CHANNEL = 'netlink'

const ringShape = z.discriminatedUnion('type', [
  z.object({ type: z.literal('release'), timestampVersion: z.int() }),
  z.object({ type: z.literal('root'), timestampVersion: z.int() }),
  z.object({ type: z.literal('brake'), brake: brakeShape }),
  z.object({ type: z.literal('check_now'), hostId: z.string(), timestampVersion: z.int() }),
  z.object({ type: z.literal('forgotten'), hostId: z.string() }),
  z.object({ type: z.literal('assignment'), hostId: z.string() }),
  z.object({ type: z.literal('fleet') }),
])

export interface Remembered {
  readonly published: Published
  /** Counts the seals that brought something new: a renewed timestamp alone is no reason to call ten thousand agents. */
  readonly changes: number
  readonly brake: Brake
}

export interface RingingBell extends Bell {
  /** What is published and the brake, as last heard. */
  readonly remembered: Remembered
  /** Tells every replica. Call it after the change is committed. Never rejects: whoever misses it reads again soon. */
  ring(ring: Ring): Promise<void>
  /** Asks the database, remembers, and tells the listeners what differs. */
  reread(): Promise<void>
  close(): Promise<void>
}

/** Reads what is remembered once and begins to listen. */
export async function buildBell(deps: { readonly db: Db; readonly log: Log }): Promise<RingingBell> {
  const { db, log } = deps
  const listeners = new Set<(ring: Ring) => void>()
  let remembered = await readFacts(db)

  const tell = (ring: Ring) => {
    for (const listener of listeners) listener(ring)
  }
  const rereadOnce = async () => {
    const before = remembered
    remembered = await readFacts(db)
    const { timestampVersion, rootVersion } = remembered.published
    if (before.published.rootVersion !== rootVersion) tell({ type: 'root', timestampVersion })
    else if (before.changes !== remembered.changes) tell({ type: 'release', timestampVersion })
    if (JSON.stringify(before.brake) !== JSON.stringify(remembered.brake)) {
      tell({ type: 'brake', brake: remembered.brake })
    }
  }
  // One after another: what was read later must not be forgotten for what was read earlier.
  let rereading: Promise<void> = Promise.resolve()
  const reread = () => {
    rereading = rereading.catch(() => {}).then(rereadOnce)
    return rereading
  }
  const rereadQuietly = () => reread().catch((error) => log('warn', 'bell.reread_failed', { error: String(error) }))

  const hear = (payload: string) => {
    const ring = parseRing(payload)
    if (!ring) return log('warn', 'bell.unknown', { payload: payload.slice(0, 100) })
    if (ring.type === 'release' || ring.type === 'root' || ring.type === 'brake') return void rereadQuietly()
    tell(ring)
  }
  const unlisten: Unlisten = await db.listen(CHANNEL, hear, () => void rereadQuietly())

  return {
    get remembered() {
      return remembered
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    ring: (ring) =>
      db
        .notify(CHANNEL, JSON.stringify(ring))
        .catch((error) => log('warn', 'bell.notify_failed', { error: String(error) })),
    reread,
    close: async () => {
      listeners.clear()
      await unlisten()
    },
  }
}

function parseRing(payload: string): Ring | undefined {
  try {
    return ringShape.safeParse(JSON.parse(payload)).data
  } catch {
    return undefined
  }
}

async function readFacts(db: Db): Promise<Remembered> {
  const [row] = await db.queries.execute<{
    product: string | null
    published_root: number
    published_timestamp: string
    published_changes: number
    paused: boolean
    reason: string | null
    since: string | null
  }>(sql`select r.product, r.published_root, r.published_timestamp, r.published_changes, b.paused, b.reason, b.since
    from repository r, brake b`)
  if (!row) throw new Error('the tables repository and brake have no row')
  return {
    published: {
      product: row.product,
      rootVersion: row.published_root,
      timestampVersion: Number(row.published_timestamp),
    },
    changes: row.published_changes,
    brake: { paused: row.paused, reason: row.reason, since: row.since === null ? null : wireTime(new Date(row.since)) },
  }
}
