// A small service as a release: plain Node 18 or newer, no dependencies. It counts visits in the folder that the agent keeps across updates.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

// The files of a release never change, so the version comes from outside: after a promotion the same bytes run under another letter.
const version = process.env.NETLINK_VERSION ?? 'unreleased'
const folder = process.env.NETLINK_DATA_DIR ?? 'data'
const port = Number(process.env.PORT ?? 8480)

const file = join(folder, 'visits.json')
mkdirSync(folder, { recursive: true })
let data = load()

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'GET only\n')
  if (pathname === '/health') return answer(response, 200, 'ok\n')
  if (pathname !== '/') return answer(response, 404, 'nothing here\n')
  if (request.method === 'GET') count()
  answer(response, 200, `visits ${data.visits}\nversion ${version}\n`)
})
server.listen(port, '127.0.0.1', () => console.log(`version ${version} listens at http://127.0.0.1:${port}/`))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)

/** What an earlier run left, or the start. A file that can't be read stops the service: an empty counter would overwrite what the user has. */
function load() {
  try {
    return { visits: 0, ...JSON.parse(readFileSync(file, 'utf8')) }
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return { visits: 0 }
  }
}

/** Writes beside and renames, so that the file is whole at every moment. Fields of a newer version stay. */
function count() {
  data = { ...data, visits: data.visits + 1 }
  writeFileSync(`${file}.new`, `${JSON.stringify(data)}\n`)
  renameSync(`${file}.new`, file)
}

function answer(response, status, text) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(text)
}

function stop() {
  server.close(() => process.exit(0))
  server.closeIdleConnections?.()
}
