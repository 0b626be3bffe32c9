import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below what Linux gives to connections by itself (32768 on): a port from there could be gone again by the time a service wants it. */
const LOWEST = 12_000
const HIGHEST = 32_000

/** A run of `count` consecutive TCP ports that were free on loopback a moment ago; returns the first. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = randomInt(LOWEST, HIGHEST - count)
    const run = Array.from({ length: count }, (_, index) => first + index)
    const probed = await Promise.allSettled(run.map(probe))
    if (probed.every((one) => one.status === 'fulfilled')) return first
  }
  throw new Error(`no ${count} free ports in a row`)
}

function probe(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()))
  })
}
