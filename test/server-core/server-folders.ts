// Servers as real processes, each on a folder of its own below one that goes away in the end.
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import { refresh } from '../../keys/refresh.ts'
import type { Signer } from '../../keys/signer.ts'
import type { PublishState } from '../../schema/rest.ts'
import { memoryTrustStore } from '../../server/core/candidate.ts'
import { killHard, type Outcome, run, start, stopAll, until } from '../world/programs.ts'
import { TestPublisher } from './publisher.ts'

/** A new folder, and what is done with the servers in it. `close` stops them all and removes it. */
export async function createServerFolders() {
  const folder = await mkdtemp(join(tmpdir(), 'netlink-serve-'))
  return {
    folder,
    /** Runs `netlink-server` to its end. */
    server: (...args: string[]): Promise<Outcome> => run(folder, 'netlink-server', args),
    /** A server's folder is whole: a copy is a server too, and making one takes seconds. */
    copy: (from: string, to: string) => cp(join(folder, from), join(folder, to), { recursive: true }),
    serve: (dir: string, port: number, ...more: string[]) => serve(folder, dir, port, more),
    publisherOf: (dir: string, port: number) => publisherOf(folder, dir, port),
    close: async () => {
      await stopAll()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Starts `netlink-server serve` and waits until it is ready. */
async function serve(folder: string, dir: string, port: number, more: readonly string[]) {
  const address = `127.0.0.1:${port}`
  const child = start(folder, 'netlink-server', ['serve', '--dir', dir, '--listen', address, ...more], `${dir}.log`)
  const ready = await until(60, async () => ((await fetch(`http://${address}/readyz`)).ok ? true : undefined))
  if (!ready) throw new Error(await readFile(join(folder, `${dir}.log`), 'utf8'))
  const end = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )
  return {
    end,
    kill: (signal: 'SIGTERM' | 'SIGINT') => child.kill(signal),
    /** Ends it as people do. */
    stop: () => {
      child.kill('SIGTERM')
      return end
    },
    /** Ends it as the kernel does. */
    killHard: () => {
      killHard(child)
      return end
    },
  }
}

/** A publisher that speaks REST to a server process. */
async function publisherOf(folder: string, dir: string, port: number) {
  const base = `http://127.0.0.1:${port}`
  const token = (await readFile(join(folder, dir, 'secrets', 'publish.token'), 'utf8')).trim()
  const admin = (await readFile(join(folder, dir, 'secrets', 'admin.token'), 'utf8')).trim()
  const call = (method: string, path: string, body: unknown, bearer = token) =>
    fetch(base + path, {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        ...(body instanceof Uint8Array
          ? { 'content-type': 'application/octet-stream' }
          : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) }),
    })
  const state = (await (await call('GET', '/api/v1/publish/state', undefined)).json()) as PublishState
  const verifier = (object: unknown): Signer => {
    const key = object as JsonObject
    return {
      publicKey: parsePublicKey(keyIdOf(key), key),
      sign: () => Promise.reject(new Error('the server keeps its keys')),
    }
  }
  const online = {
    snapshot: state.online_keys.snapshot.map(verifier),
    timestamp: state.online_keys.timestamp.map(verifier),
  }
  const publisher = new TestPublisher(online, () => new Date())
  const source = {
    load: async (file: string) => {
      const answer = await fetch(`${base}/repo/metadata/${file}`)
      return answer.status === 404 ? ('missing' as const) : new Uint8Array(await answer.arrayBuffer())
    },
  }
  let store: ReturnType<typeof memoryTrustStore>
  const prepare = async (version: string) => {
    const { artifact, ...request } = await publisher.release(version)
    const put = await call(
      'PUT',
      `/api/v1/publish/artifacts/${artifact.sha256}?offset=0&length=${artifact.bytes.length}`,
      artifact.bytes,
    )
    if (!put.ok) throw new Error(await put.text())
    return request
  }
  const submit = async (request: object) => (await call('POST', '/api/v1/publish/releases', request)).status
  return {
    begin: async () => {
      const root = await publisher.root()
      const answer = await call('POST', '/api/v1/publish/root', { roots: [root], targets: await publisher.targets() })
      if (!answer.ok) throw new Error(await answer.text())
      store = memoryTrustStore(Buffer.from(root))
    },
    prepare,
    submit,
    publish: async (version: string) => submit(await prepare(version)),
    refreshHost: () => refresh({ source, store, startedAt: new Date() }),
    get: async (path: string) => (await call('GET', path, undefined, admin)).json() as Promise<{ items: unknown[] }>,
  }
}
