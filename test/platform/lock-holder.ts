// A second process for the tests of the lock: takes it, says so, and holds it until it is killed or its stdin ends.
// With `forget` it keeps no reference to the lock and lets the garbage collector run (node --expose-gc).
import { acquireLock } from '../../keys/platform/lock.ts'

const [path = '', owner = '', manner = 'hold'] = process.argv.slice(2)
if (manner === 'forget') {
  await acquireLock(path, { owner })
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    ;(globalThis as { gc?: () => void }).gc?.()
  }
  process.stdin.resume()
} else {
  const lock = await acquireLock(path, { owner })
  process.stdin.once('end', () => lock.release()).resume()
}
process.stdout.write('held\n')
