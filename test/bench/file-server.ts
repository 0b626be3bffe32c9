// Files below a folder over HTTP, in a process of its own: what any of the clients asks for costs it the same. `node file-server.ts FOLDER` prints its port.
// GET /bytes answers what has gone over its connections so far, in both directions, this request left out.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'

const [folder = ''] = process.argv.slice(2)
const files = new Map<string, Buffer | undefined>()
const open = new Set<Socket>()
let closedBytes = 0

const read = (path: string) => {
  try {
    return readFileSync(join(folder, path))
  } catch {
    return undefined
  }
}
const fileAt = (path: string) => {
  // What has a number never changes; the timestamp does.
  if (!path.endsWith('timestamp.json') && files.get(path)) return files.get(path)
  const bytes = read(path)
  if (bytes) files.set(path, bytes)
  return bytes
}
const total = () => closedBytes + [...open].reduce((sum, socket) => sum + socket.bytesRead + socket.bytesWritten, 0)

const server = createServer((request, response) => {
  if (request.url === '/bytes') {
    response.setHeader('connection', 'close')
    open.delete(request.socket)
    return response.end(String(total()))
  }
  const bytes = fileAt(decodeURIComponent(request.url ?? '/'))
  response.writeHead(bytes ? 200 : 404, { 'content-length': bytes?.length ?? 0 }).end(bytes)
})
server.on('connection', (socket) => {
  open.add(socket)
  socket.once('close', () => {
    if (open.delete(socket)) closedBytes += socket.bytesRead + socket.bytesWritten
  })
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
