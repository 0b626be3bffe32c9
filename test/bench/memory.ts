import { readFile } from 'node:fs/promises'

/** Resident and private memory of a process in bytes, from /proc. */
export async function memoryOf(pid: number): Promise<{ resident: number; peak: number; anonymous: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024
  return { resident: field('VmRSS'), peak: field('VmHWM'), anonymous: field('RssAnon') }
}

/** Bytes in MiB, one decimal. */
export function inMiB(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
