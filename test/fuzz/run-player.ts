import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HEADER_BYTES, loadTargets, type Orders, type Result } from './player.ts'

const MAX_HEAP_MB = 256

/** Lets a process play and watches it: standing still for `stuckMs` at one input is a finding, and so is its death. */
export async function runPlayer(orders: Omit<Orders, 'file'>, stuckMs: number): Promise<Result> {
  const targets = await loadTargets(orders.only)
  const folder = mkdtempSync(join(tmpdir(), 'netlink-fuzz-'))
  const file = join(folder, 'input')
  writeFileSync(file, Buffer.alloc(HEADER_BYTES))
  const { promise, resolve } = Promise.withResolvers<Result>()
  const child = fork(join(import.meta.dirname, 'player.ts'), [JSON.stringify({ ...orders, file } satisfies Orders)], {
    serialization: 'advanced',
    execArgv: ['--liftoff-only', `--max-old-space-size=${MAX_HEAP_MB}`],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const present = () => {
    const record = readFileSync(file)
    const input = Uint8Array.from(record.subarray(HEADER_BYTES, HEADER_BYTES + record.readUInt32LE(4)))
    return { count: record.readUInt32LE(0), target: targets[record.readUInt32LE(8)]?.name ?? '', input }
  }
  const caught = (what: string): Result => ({ findings: [{ ...present(), what }], played: [], heapBytes: 0 })
  let before = 0
  const watch = setInterval(() => {
    const { count } = present()
    // 0: it is still starting.
    if (count > 0 && count === before) resolve(caught(`did not come back within ${stuckMs} ms`))
    before = count
  }, stuckMs)
  child.once('message', (result: Result) => resolve(result))
  child.once('exit', (code, signal) =>
    resolve(caught(`the process ended with ${signal ?? code}: mostly, no memory was left of ${MAX_HEAP_MB} MB`)),
  )
  return promise.finally(() => {
    clearInterval(watch)
    child.removeAllListeners('exit')
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  })
}
