import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { buildLocalApi } from '../../agent/daemon/local-api.ts'
import { buildPaths } from '../../agent/paths.ts'

/** What the daemon answers to this request (`METHOD TARGET`, an empty line, the body), and the tasks that it would start. */
export async function askLocalApi(input: Uint8Array): Promise<{ status: number; body: unknown; tasks: object[] }> {
  const tasks: object[] = []
  const start = (task: object) => {
    tasks.push(task)
    const end = Promise.resolve({ kind: 'done', result: { state: 'succeeded' } } as const)
    return { planned: Promise.resolve(undefined), end, stop: () => {} }
  }
  const daemon = { start, look: () => {} }
  const server = buildLocalApi({ daemon, paths: buildPaths({ home: '/nothing/here' }), about: () => ({}) })
  const request = requestOf(Buffer.from(input))
  const response = new ServerResponse(request)
  const answered = Promise.withResolvers<unknown>()
  Object.assign(response, { end: (text: string) => answered.resolve(JSON.parse(text)) })
  server.emit('request', request, response)
  const body = await answered.promise
  return { status: response.statusCode, body, tasks }
}

function requestOf(bytes: Buffer): IncomingMessage {
  const end = bytes.indexOf('\n\n')
  const head = bytes.subarray(0, end === -1 ? bytes.length : end).toString('latin1')
  // Node's own parser lets nothing else through.
  const [, method = 'GET', target = '/'] = /^([A-Z]+) ([!-~]+)$/.exec(head) ?? []
  const request = new IncomingMessage(new Socket())
  request.method = method
  request.url = target
  if (end !== -1) request.push(bytes.subarray(end + 2))
  request.push(null)
  return request
}
