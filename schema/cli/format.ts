const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes in decimal units, three digits at most: `0 B`, `999 B`, `3.1 MB`, `14.2 MB`, `412 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // 999.95 would be shown as 1000: it is one of the next unit.
  while (value >= (unit === 0 ? 1000 : 999.5) && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A duration for people, the two greatest units: `250ms`, `4.2s`, `42s`, `1m 05s`, `2h 05m`, `3d 4h`. Rounded down. */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.floor(ms)}ms`
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m ${twoDigits((ms % HOUR) % MINUTE, SECOND)}s`
  if (ms < DAY) return `${Math.floor(ms / HOUR)}h ${twoDigits(ms % HOUR, MINUTE)}m`
  return `${Math.floor(ms / DAY)}d ${Math.floor((ms % DAY) / HOUR)}h`
}

function twoDigits(ms: number, unit: number): string {
  return String(Math.floor(ms / unit)).padStart(2, '0')
}

/** How long ago, in one unit: `just now`, `42s ago`, `2h ago`, `3d ago`; `in 5m` for what is to come. */
export function formatAgo(time: Date, now: Date): string {
  const distance = now.getTime() - time.getTime()
  const ms = Math.abs(distance)
  if (ms < 5 * SECOND) return 'just now'
  const [unit, name] = ms < MINUTE ? [SECOND, 's'] : ms < HOUR ? [MINUTE, 'm'] : ms < 2 * DAY ? [HOUR, 'h'] : [DAY, 'd']
  const text = `${Math.floor(ms / unit)}${name}`
  return distance > 0 ? `${text} ago` : `in ${text}`
}
