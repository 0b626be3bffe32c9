// A refresh in a process of its own, for the tests that kill it: node refreshing.ts FOLDER URL NOW [N]. With N the process kills itself, as nobody could
// answer for, when it asks its disk for the Nth change.
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { buildHttpSource } from '../../keys/http-source.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { refresh } from '../../keys/refresh.ts'

const [folder = '', url = '', now = '', n] = process.argv.slice(2)
const CHANGING: readonly string[] = ['createFile', 'overwrite', 'rename', 'link', 'unlink', 'syncDir']
let changes = 0
const mortal = new Proxy(nodeDisk, {
  get(disk, name: keyof Disk) {
    if (!CHANGING.includes(name)) return disk[name]
    changes += 1
    if (changes === Number(n)) process.kill(process.pid, 'SIGKILL')
    return disk[name]
  },
})

const fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock })
const lock = await acquireLock(`${folder}.lock`, { owner: 'netlink-test', waitMs: 10_000 })
const store = buildFileTrustStore(mortal, folder)
const trusted = await refresh({ source: buildHttpSource(fetcher, `${url}/`), store, startedAt: new Date(now) })
await lock.release()
fetcher.close()
console.log(JSON.stringify({ timestamp: trusted.timestampVersion, changes }))
