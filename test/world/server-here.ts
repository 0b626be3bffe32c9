// `netlink-server` in the test's own process: the same commands over the same folder, sockets and database, without the start of two processes and of
// a database for each world (3 s of computing). What a process is for, signals and kills, is tested with programs.ts.
import { randomBytes } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { type Machine, perform } from '../../server/commands/context.ts'
import { init } from '../../server/commands/init.ts'
import { serve } from '../../server/commands/serve.ts'
import { DEFAULT_LISTEN } from '../../server/config.ts'
import type { Db } from '../../server/core/ports.ts'
import { type EmbeddedDbOptions, openEmbeddedDb } from '../../server/store/embedded-db.ts'
import { borrowDb, giveBackDb } from './lent-db.ts'
import { until } from './programs.ts'

export interface ServerHere {
  /** As SIGTERM does; resolves with the exit status when everything is closed. */
  stop(): Promise<number>
  /** Stops, and the folder's database is gone. */
  end(): Promise<void>
}

/** `netlink-server init --dir srv` and `serve` below `folder`; its log is `server.log`. Resolves when it is ready. */
export async function serveHere(folder: string, port: number): Promise<ServerHere> {
  const dir = join(folder, 'srv')
  const said: string[] = []
  const listeners: ((signal: 'SIGTERM') => void)[] = []
  const machine: Machine = {
    ...machineHere((text) => {
      said.push(text)
      appendFileSync(join(folder, 'server.log'), text)
    }),
    openEmbeddedDb: lend,
    onSignal: (listener) => void listeners.push(listener),
  }
  const made = await perform(machine, { dir }, () => init(machine, { dir, storage: 'fs', listen: DEFAULT_LISTEN }))
  if (made !== 0) throw new Error(said.join(''))
  const served = serve(machine, { dir, listen: `127.0.0.1:${port}` })
  const ready = await until(30, async () => ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok ? true : undefined))
  if (!ready) throw new Error(`the server did not come up: ${said.join('')}`)
  const stop = () => {
    for (const tell of listeners) tell('SIGTERM')
    return served
  }
  return {
    stop,
    end: async () => {
      await stop()
      giveBack(join(dir, 'db'))
    },
  }
}

/** The machine of a command in this process. */
export function machineHere(stderr: (text: string) => void): Machine {
  return {
    disk: nodeDisk,
    clock: systemClock,
    random: randomBytes,
    openEmbeddedDb,
    environment: {},
    user: { name: 'test', uid: process.getuid?.() ?? 0 },
    pid: process.pid,
    version: '0.0.0',
    runtimeRoot: process.env.XDG_RUNTIME_DIR ?? '/tmp',
    stdout: () => undefined,
    stderr,
    color: false,
    columns: null,
    onSignal: () => undefined,
    exit: (code) => {
      throw new Error(`the server would have ended with ${code}`)
    },
  }
}

/** Databases by the folder that they stand for. */
const lent = new Map<string, Db>()

/** The database of this folder, the same one again until it is given back. */
async function lend(options: EmbeddedDbOptions): Promise<Db> {
  const held = await options.lock()
  const db = lent.get(options.folder) ?? (await borrowDb())
  lent.set(options.folder, db)
  return { ...db, close: () => held.release() }
}

function giveBack(folder: string): void {
  const db = lent.get(folder)
  lent.delete(folder)
  if (db) giveBackDb(db)
}
