import { type SQL, sql } from 'drizzle-orm'

/** A moment as every message and document writes it: UTC, whole seconds. */
export function wireTime(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

/** As `wireTime`; null stays null. */
export function wireTimeOrNull(date: Date | null): string | null {
  return date && wireTime(date)
}

/** A moment as a parameter of hand-written SQL, where drizzle hands a Date on as it is and the client can't write it. */
export function at(date: Date): SQL {
  return sql`${date.toISOString()}::timestamptz`
}
