// The second release of the service: it also keeps the visits of each day and shows them at /days.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

// The files of a release never change, so the version comes from outside: after a promotion the same bytes run under another letter.
const version = process.env.NETLINK_VERSION ?? 'unreleased'
const folder = process.env.NETLINK_DATA_DIR ?? 'data'
const port = Number(process.env.PORT ?? 8480)
const KEPT_DAYS = 30

const file = join(folder, 'visits.json')
mkdirSync(folder, { recursive: true })
let data = load()

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'GET only\n')
  if (pathname === '/health') return answer(response, 200, 'ok\n')
  if (pathname === '/days') return answer(response, 200, days())
  if (pathname !== '/') return answer(response, 404, 'nothing here\n')
  if (request.method === 'GET') count()
  answer(response, 200, `visits ${data.visits}\ntoday ${data.by_day[today()] ?? 0}\nversion ${version}\n`)
})
server.listen(port, '127.0.0.1', () => console.log(`version ${version} listens at http://127.0.0.1:${port}/`))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)

/** What an earlier run left, the first release's file included. A file that can't be read stops the service rather than start again from 0. */
function load() {
  try {
    return { visits: 0, by_day: {}, ...JSON.parse(readFileSync(file, 'utf8')) }
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return { visits: 0, by_day: {} }
  }
}

/** Only adds to what the first release wrote, so that it can still read the file after a downgrade. */
function count() {
  const recent = Object.entries({ ...data.by_day, [today()]: (data.by_day[today()] ?? 0) + 1 }).sort()
  data = { ...data, visits: data.visits + 1, by_day: Object.fromEntries(recent.slice(-KEPT_DAYS)) }
  writeFileSync(`${file}.new`, `${JSON.stringify(data)}\n`)
  renameSync(`${file}.new`, file)
}

function days() {
  const lines = Object.entries(data.by_day).map(([day, visits]) => `${day} ${visits}\n`)
  return lines.join('') || 'no visits yet\n'
}

function today() {
  return new Date().toISOString().slice(0, 10)
}

function answer(response, status, text) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(text)
}

function stop() {
  server.close(() => process.exit(0))
  server.closeIdleConnections?.()
}
