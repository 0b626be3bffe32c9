/** A moment as every message and document writes it: UTC, whole seconds. */
export function wireTime(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

/** As `wireTime`; null stays null. */
export function wireTimeOrNull(date: Date | null): string | null {
  return date && wireTime(date)
}
