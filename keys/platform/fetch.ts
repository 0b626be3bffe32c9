// HTTP that can be trusted with a stranger's answer. Every request has an end: a deadline for the whole, a shorter one until the answer begins,
// a lowest rate after that, a greatest number of bytes. Nothing is decoded: what the server sent is what is counted and hashed.
//
//   const fetcher = createFetcher({ userAgent: 'netlink/1.2', clock, ca, proxy: { HTTPS_PROXY: … } })
//   const bytes = await fetcher.bytes(url, { maxBytes: 16_384, deadlineMs: 30_000 })
//   const answer = await fetcher.get(url, { maxBytes, deadlineMs, range: { from: 4096, ifRange: etag } })
//   for await (const chunk of answer.body) …
import * as http from 'node:http'
import * as https from 'node:https'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import type { Clock } from './clock.ts'
import { errnoOf } from './disk-error.ts'
import { bodyOf, readAll, tooLarge } from './fetch-body.ts'
import { decideAddress, decideRedirect, isLoopback, shownUrl } from './fetch-policy.ts'
import { startWatch, type Watch } from './fetch-watch.ts'
import { PlatformError } from './platform-error.ts'
import { sendBody } from './send-body.ts'
import { transportError } from './transport-error.ts'

export interface FetcherOptions {
  readonly userAgent: string
  readonly clock: Clock
  /** Certificates (PEM) that count besides those the machine trusts. */
  readonly ca?: Uint8Array | string
  /** Plain http to any machine, not only to this one. */
  readonly insecureHttp?: boolean
  /** The proxy settings of the environment. Loopback is never proxied. */
  readonly proxy?: ProxySettings
}

/** As curl reads them; `NO_PROXY` is a list of hosts and domains with commas. */
export interface ProxySettings {
  readonly HTTPS_PROXY?: string | undefined
  readonly HTTP_PROXY?: string | undefined
  readonly NO_PROXY?: string | undefined
}

export interface RequestOptions {
  /** More bytes than this in the answer's body and it is `too-large`. */
  readonly maxBytes: number
  /** For everything, from name lookup to the last byte. */
  readonly deadlineMs: number
  /** Until the answer's head is there, once the request is sent. 30 seconds unless said otherwise. */
  readonly answerMs?: number
  /** The body may not come slower than this for `rateWindowMs` of waiting; 0, the default, allows any rate. */
  readonly minBytesPerSecond?: number
  /** 10 seconds unless said otherwise. */
  readonly rateWindowMs?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** Ask for what follows the first `from` bytes, of this very entity if its entity tag is given. The answer's status says whether that was granted. */
  readonly range?: { readonly from: number; readonly ifRange?: string | undefined }
}

export interface UploadOptions extends RequestOptions {
  /** Bytes, or a stream of them; a stream without `bodyLength` is sent chunked. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  readonly bodyLength?: number
}

export interface Response {
  readonly status: number
  /** By lower-case name; several of one name are joined with commas. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Where the answer came from, after redirects. */
  readonly url: string
  /** Chunks as they come from the network, once. Throws PlatformError. Read it, or call `discard`. */
  readonly body: AsyncIterable<Uint8Array>
  /** Lets go of a body that nobody wants. */
  discard(): void
}

/** Throws PlatformError: `unreachable`, `timeout`, `too-slow`, `too-large`, `redirect`, `insecure`, `encoding`, `cancelled`; `bytes` also `http-status`. */
export interface Fetcher {
  /** Any status but a redirect is an answer. */
  get(url: string, options: RequestOptions): Promise<Response>
  /** The whole body of a 200; any other status is `http-status` with the status in its facts. */
  bytes(url: string, options: RequestOptions): Promise<Uint8Array>
  /** Redirects are followed for GET and HEAD only, and on their own origin only. */
  request(method: string, url: string, options: UploadOptions): Promise<Response>
  /** Closes connections kept for later. */
  close(): void
}

const MAX_REDIRECTS = 3
const ANSWER_MS = 30_000
const RATE_WINDOW_MS = 10_000
/** How much a socket reads ahead. */
const SOCKET_BYTES = 1 << 20
/** A body that nobody wants is read to its end up to this length, because a new connection costs more. */
const SHORT_BYTES = 1 << 16
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** A client with its own pool of connections. Throws what `node:tls` throws if `ca` holds no certificate. */
export function createFetcher(options: FetcherOptions): Fetcher {
  const agents = createAgents(options)

  const request = async (method: string, url: string, asked: UploadOptions): Promise<Response> => {
    if (!URL.canParse(url)) throw new PlatformError('unreachable', `${url}: not an address`, { url })
    let target = new URL(url)
    const watch = startWatch(options.clock, shownUrl(target), asked.deadlineMs, asked.signal)
    try {
      for (let hops = 0; ; hops++) {
        refuseUnlessAllowed(target, options.insecureHttp ?? false)
        const head = { method, headers: headersOf(options.userAgent, asked), agent: agents.of(target) }
        const message = await answerOf(target, head, asked, watch)
        const status = message.statusCode ?? 0
        if (!REDIRECTS.has(status)) return responseOf(method, message, target, asked, watch, options.clock)
        const next = nextOf(method, target, message, hops)
        if (isShort(message)) message.resume()
        else message.destroy()
        target = next
      }
    } catch (error) {
      watch.end()
      throw error
    }
  }

  const get = (url: string, asked: RequestOptions) => request('GET', url, asked)
  return {
    get,
    request,
    bytes: async (url, asked) => {
      const answer = await get(url, asked)
      if (answer.status !== 200) {
        answer.discard()
        const shown = shownUrl(new URL(answer.url))
        throw new PlatformError('http-status', `${shown}: expected status 200, got ${answer.status}`, {
          url: shown,
          status: answer.status,
        })
      }
      return await readAll(answer.body)
    },
    close: () => agents.close(),
  }
}

interface Agents {
  of(url: URL): http.Agent
  close(): void
}

function createAgents(options: FetcherOptions): Agents {
  const common = { keepAlive: true, readableHighWaterMark: SOCKET_BYTES }
  // Said aloud, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise decide.
  const checked = { ...common, rejectUnauthorized: true }
  const secure = options.ca ? { ...checked, secureContext: trusting(options.ca) } : checked
  // Gap: Node 24.0 to 24.4 does not know `proxyEnv` and goes straight to the server, which such a network will not let it reach.
  const proxied = options.proxy ? { proxyEnv: proxyEnvOf(options.proxy) } : {}
  const here = { 'http:': new http.Agent(common), 'https:': new https.Agent(secure) }
  const away = {
    'http:': new http.Agent({ ...common, ...proxied }),
    'https:': new https.Agent({ ...secure, ...proxied }),
  }
  return {
    of: (url) => (isLoopback(url.hostname) ? here : away)[url.protocol === 'https:' ? 'https:' : 'http:'],
    close: () => {
      for (const agent of [...Object.values(here), ...Object.values(away)]) agent.destroy()
    },
  }
}

function trusting(ca: Uint8Array | string): SecureContext {
  const pem = typeof ca === 'string' ? ca : Buffer.from(ca).toString('latin1')
  return createSecureContext({ ca: [...getCACertificates('default'), pem] })
}

/** `HTTPS_PROXY=proxy.example:3128` is common and means http. */
function proxyEnvOf(proxy: ProxySettings): http.ProxyEnv {
  const whole = (value: string | undefined) => (value && !value.includes('://') ? `http://${value}` : value)
  return { HTTPS_PROXY: whole(proxy.HTTPS_PROXY), HTTP_PROXY: whole(proxy.HTTP_PROXY), NO_PROXY: proxy.NO_PROXY }
}

function refuseUnlessAllowed(url: URL, insecureHttp: boolean): void {
  const decision = decideAddress(url, insecureHttp)
  if (decision.kind === 'allowed') return
  throw new PlatformError(decision.code, `${shownUrl(url)}: ${decision.why}`, { url: shownUrl(url) })
}

function headersOf(userAgent: string, asked: UploadOptions): http.OutgoingHttpHeaders {
  const { range, body } = asked
  const length = body instanceof Uint8Array ? body.length : asked.bodyLength
  return {
    // A token may stand here: redirects are followed on the origin that the caller named only.
    ...asked.headers,
    'user-agent': userAgent,
    'accept-encoding': 'identity',
    ...(range ? { range: `bytes=${range.from}-` } : {}),
    ...(range?.ifRange ? { 'if-range': range.ifRange } : {}),
    ...(body !== undefined && length !== undefined ? { 'content-length': length } : {}),
  }
}

interface Head {
  readonly method: string
  readonly headers: http.OutgoingHttpHeaders
  readonly agent: http.Agent
}

async function answerOf(url: URL, head: Head, asked: UploadOptions, watch: Watch): Promise<http.IncomingMessage> {
  // The timeout is for the tunnel through a proxy, which outlives a request that is given up.
  const timeout = Math.min(asked.deadlineMs, asked.answerMs ?? ANSWER_MS)
  const request = (url.protocol === 'https:' ? https : http).request(url, { ...head, timeout })
  try {
    return await answerTo(request, asked, watch)
  } catch (error) {
    if (!isStale(request, error) || watch.signal.aborted) throw error
    return answerOf(url, head, asked, watch)
  }
}

function answerTo(request: http.ClientRequest, asked: UploadOptions, watch: Watch): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      request.destroy()
      // Not left to the request: one that still waits for its connection (a proxy that says nothing) would not tell.
      reject(watch.signal.reason)
    }
    watch.signal.addEventListener('abort', stop, { once: true })
    let settle = () => {}
    let answered = false
    request.on('error', (error) => {
      settle()
      reject(transportError(watch.url, error))
    })
    request.once('response', (message) => {
      answered = true
      settle()
      // Answered before everything was sent: the rest never will be, and the connection is of no use to anybody.
      message.once('end', () => request.writableEnded || request.destroy())
      resolve(message)
    })
    sendBody(request, asked.body).then(
      () => {
        if (!answered) settle = watch.after(asked.answerMs ?? ANSWER_MS, () => noAnswer(watch.url, asked))
      },
      (error) => {
        request.destroy()
        reject(error)
      },
    )
    if (watch.signal.aborted) stop()
  })
}

/** The server may close a kept connection just when we take it. What only reads can be asked again, on another one. */
function isStale(request: http.ClientRequest, error: unknown): boolean {
  const errno = error instanceof PlatformError ? errnoOf(error.cause) : ''
  const reads = request.method === 'GET' || request.method === 'HEAD'
  return request.reusedSocket && reads && (errno === 'ECONNRESET' || errno === 'EPIPE')
}

function noAnswer(url: string, asked: RequestOptions): PlatformError {
  return new PlatformError('timeout', `${url}: no answer after ${asked.answerMs ?? ANSWER_MS} ms`, { url })
}

function nextOf(method: string, from: URL, message: http.IncomingMessage, hops: number): URL {
  const url = shownUrl(from)
  const refuse = (why: string) => {
    message.destroy()
    return new PlatformError('redirect', `${url}: ${why}`, { url, status: message.statusCode ?? 0 })
  }
  if (method !== 'GET' && method !== 'HEAD') throw refuse(`a ${method} was redirected`)
  if (hops >= MAX_REDIRECTS) throw refuse(`redirected more than ${MAX_REDIRECTS} times`)
  const decision = decideRedirect(from, message.headers.location)
  if (decision.kind === 'refused') throw refuse(decision.why)
  return decision.url
}

function responseOf(
  method: string,
  message: http.IncomingMessage,
  url: URL,
  asked: RequestOptions,
  watch: Watch,
  clock: Clock,
): Response {
  refuseEncoding(message, watch.url)
  if (Number(message.headers['content-length'] ?? 0) > asked.maxBytes && method !== 'HEAD') {
    message.destroy()
    throw tooLarge(watch.url, asked.maxBytes)
  }
  const limits = {
    maxBytes: asked.maxBytes,
    minBytesPerSecond: asked.minBytesPerSecond ?? 0,
    rateWindowMs: asked.rateWindowMs ?? RATE_WINDOW_MS,
  }
  const body = bodyOf(message, limits, watch, clock)
  return {
    status: message.statusCode ?? 0,
    headers: joined(message.headers),
    url: url.href,
    body,
    discard: () => {
      if (isShort(message)) {
        // Whatever goes wrong with a body that nobody wants is of no interest.
        readAll(body).catch(() => undefined)
      } else {
        watch.end()
        message.destroy()
      }
    },
  }
}

/** We asked for the bytes as they are: a decoder is one more parser that a stranger could feed, and small bodies could become endless ones. */
function refuseEncoding(message: http.IncomingMessage, url: string): void {
  const content = message.headers['content-encoding'] ?? 'identity'
  const transfer = message.headers['transfer-encoding'] ?? 'chunked'
  if (content.toLowerCase() === 'identity' && transfer.toLowerCase() === 'chunked') return
  message.destroy()
  const got = content === 'identity' ? `transfer encoding ${transfer}` : `content encoding ${content}`
  throw new PlatformError('encoding', `${url}: expected the bytes as they are, got ${got}`, { url })
}

function isShort(message: http.IncomingMessage): boolean {
  return Number(message.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= SHORT_BYTES
}

function joined(headers: http.IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()]))
}
