import { once } from 'node:events'
import type { ClientRequest } from 'node:http'

/** Sends a request's body and its end. Stops early, without an error, when the other side has answered or gone. Throws what the stream throws. */
export async function sendBody(
  request: ClientRequest,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
): Promise<void> {
  if (body === undefined) {
    request.end()
    return
  }
  if (body instanceof Uint8Array) {
    request.end(body)
    return
  }
  const over = new AbortController()
  const stop = () => over.abort()
  request.once('response', stop).once('close', stop)
  for await (const chunk of body) {
    if (!over.signal.aborted && !request.write(chunk)) await drained(request, over.signal)
    if (over.signal.aborted) return
  }
  request.end()
}

async function drained(request: ClientRequest, signal: AbortSignal): Promise<void> {
  try {
    await once(request, 'drain', { signal })
  } catch (error) {
    // Answered, or closed: whoever listens to the request says how.
    if (!signal.aborted) throw error
  }
}
