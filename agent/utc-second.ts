/** A moment as it stands in our documents: UTC, one second's resolution, `2026-11-23T10:00:00Z`. */
export function utcSecond(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
