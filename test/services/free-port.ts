import { createServer } from 'node:net'

/** A run of `count` consecutive TCP ports that were free on loopback a moment ago; returns the first. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = await probe(0)
    const rest = Array.from({ length: count - 1 }, (_, index) => first + 1 + index)
    if (first + count > 65_535) continue
    const taken = await Promise.allSettled(rest.map(probe))
    if (taken.every((one) => one.status === 'fulfilled')) return first
  }
  throw new Error(`no ${count} free ports in a row`)
}

function probe(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no address')),
      )
    })
  })
}
