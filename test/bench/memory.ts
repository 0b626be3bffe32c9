import { readdir, readFile } from 'node:fs/promises'

/** Resident and private memory of a process in bytes, from /proc. */
export async function memoryOf(pid: number): Promise<{ resident: number; peak: number; anonymous: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024
  return { resident: field('VmRSS'), peak: field('VmHWM'), anonymous: field('RssAnon') }
}

/** A process and everything below it. */
export async function familyOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((one) => one > 0)
  const parents = await Promise.all(pids.map(async (one) => [one, await parentOf(one)] as const))
  const family = [pid]
  for (const member of family) family.push(...parents.filter(([, parent]) => parent === member).map(([one]) => one))
  return family
}

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0)
}

/** Bytes in MiB, one decimal. */
export function inMiB(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
