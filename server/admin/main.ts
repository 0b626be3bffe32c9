// netlink-admin: see and steer a fleet over REST. Everything of the process is taken here and handed down.
import { existsSync, readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { setGlobalProxyFromEnv } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { runAdmin } from './program.ts'

const stop = new AbortController()
let status: number | undefined
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    status = code
    stop.abort(new Error(`stopped by ${signal}`))
  })
}
// `netlink-admin hosts list | head` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
if (process.env.HTTPS_PROXY || process.env.https_proxy) {
  // Proxies are for https only: plain http goes to this machine, unless someone insisted.
  setGlobalProxyFromEnv({
    https_proxy: process.env.https_proxy ?? process.env.HTTPS_PROXY,
    no_proxy: process.env.no_proxy ?? process.env.NO_PROXY,
  })
}

const ended = await runAdmin(
  {
    argv: process.argv.slice(2),
    environment: process.env,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    columns: process.stdout.isTTY ? (process.stdout.columns ?? 80) : null,
    readFile: (path) => readFile(path, 'utf8'),
    fileMode: async (path) => (await stat(path)).mode & 0o777,
    now: () => new Date(),
    sleep: (ms) => sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined),
    signal: stop.signal,
    trustCa: (pem) => setDefaultCACertificates([...getCACertificates('default'), pem]),
    fetch: globalThis.fetch,
  },
  packageVersion(),
)
process.exitCode = status ?? ended

/** In a checkout beside the sources; in an installed package beside `dist/`. */
function packageVersion(): string {
  const found = ['../../package.json', '../../../package.json']
    .map((path) => join(import.meta.dirname, path))
    .find((path) => existsSync(path))
  return found === undefined ? 'unknown' : JSON.parse(readFileSync(found, 'utf8')).version
}
