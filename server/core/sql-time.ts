import { type SQL, sql } from 'drizzle-orm'

/** A moment as a parameter of hand-written SQL, where drizzle hands a Date on as it is and the client can't write it. */
export function at(date: Date): SQL {
  return sql`${date.toISOString()}::timestamptz`
}
