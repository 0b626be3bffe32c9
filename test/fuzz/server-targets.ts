// What a server is told: over HTTP by anybody, in its folder by its administrator; and what it answers, as the other programs read it.
import { createHash } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { isIP, Socket } from 'node:net'
import { resolve } from 'node:path'
import type { z } from 'zod'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import * as assignments from '../../schema/assignment.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { reportStatement } from '../../schema/report.ts'
import * as rest from '../../schema/rest.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import * as events from '../../schema/signing-event.ts'
import { loadConfig, loadS3Credentials, parseListen } from '../../server/config.ts'
import { isBlobKey } from '../../server/core/blob-key.ts'
import { CoreError } from '../../server/core/core-error.ts'
import { hostIdOf } from '../../server/core/host-key.ts'
import { verifyReports } from '../../server/core/report-chain.ts'
import { findUnstorable, isStorable } from '../../server/core/storable.ts'
import { findAmbiguity } from '../../server/http/request-target.ts'
import * as shapes from '../../server/http/shapes.ts'
import { clientAddress, limitKey, parseTrustedProxies } from '../../server/ws/client-address.ts'
import { createSimDisk } from '../sim/disk.ts'
import { publicBytes, signBytes } from './known-key.ts'
import { same, type Target, textOf } from './target.ts'

type Shapes = Readonly<Record<string, z.ZodType>>

/** Bodies that a server is sent. */
const requests: Shapes = {
  enroll: rest.enrollRequestShape,
  reports: rest.reportsRequestShape,
  root: rest.publishRootShape,
  releases: rest.publishReleasesShape,
  brake: rest.brakeRequestShape,
  token: rest.newTokenShape,
  assignment: assignments.newAssignmentShape,
  event: events.signingEventShape,
  signatures: events.eventSignaturesShape,
  abort: events.abortEventShape,
}

/** Bodies that agents, publishers and administrators are answered with. */
const answers: Shapes = {
  problem: rest.problemShape,
  enroll: rest.enrollAnswerShape,
  reports: rest.reportsAnswerShape,
  assigned: assignments.agentAssignmentShape,
  state: rest.publishStateShape,
  upload: rest.uploadStateShape,
  published: rest.publishAnswerShape,
  hosts: rest.pageShape(rest.hostShape),
  history: rest.pageShape(rest.hostEventShape),
  fleet: rest.fleetSummaryShape,
  release: rest.releaseDetailShape,
  channels: rest.channelsShape,
  token: rest.createdTokenShape,
  audit: rest.pageShape(rest.auditEntryShape),
  assignment: assignments.hostAssignmentShape,
  event: events.eventRecordShape,
  signatures: events.eventSignaturesAnswerShape,
}

const queries: Shapes = {
  page: shapes.pageRequest,
  hosts: shapes.hostsRequest,
  releases: shapes.releasesRequest,
  audit: shapes.auditRequest,
  reason: shapes.reasonRequest,
  chunk: shapes.chunkRequest,
}

/** The input is `[name, body]`: which of the shapes, and what it has to read. */
function oneOf(name: string, known: Shapes, tokens: readonly string[]): Target {
  return {
    name,
    form: 'json',
    tokens: [...Object.keys(known), ...tokens],
    refusals: [ShapeError, SyntaxError],
    read: (input) => {
      const [which, body] = Object.values(JSON.parse(textOf(input)) ?? {})
      const shape = typeof which === 'string' && Object.hasOwn(known, which) ? known[which] : undefined
      if (shape === undefined) return 'no such body'
      const read = parseShape(shape, body, 'body')
      const written = JSON.stringify(read)
      same('written and read again', JSON.stringify(parseShape(shape, JSON.parse(written), 'body')), written)
      return which
    },
  }
}

const NETWORKS = ['10.0.0.0/8', 'fd00::/8', '127.0.0.1']
const trusted = parseTrustedProxies(NETWORKS)
const PORT = 65_535

/** Parsers in server/, and the bodies of its API. */
export const serverTargets: readonly Target[] = [
  oneOf('rest-request', requests, ['token', 'public_key', 'items', 'roots', 'metadata', 'manifests', 'uses', 'labels']),
  oneOf('rest-answer', answers, ['items', 'next_cursor', 'brake', 'channel_role', 'identity', 'forked', 'inventory']),
  {
    name: 'rest-query',
    form: 'text',
    tokens: [
      '?',
      '&',
      'limit=',
      'cursor=',
      'since=',
      'sort=-',
      'where=',
      'offset=',
      '%00',
      '%ed%a0%80',
      '+',
      '2026-02-30',
    ],
    refusals: [ShapeError],
    read: (input) => {
      const [which = '', query = ''] = textOf(input).split('?')
      const shape = Object.hasOwn(queries, which) ? queries[which] : undefined
      if (shape === undefined) return 'no such query'
      const fields = Object.entries(parseShape(shape, Object.fromEntries(new URLSearchParams(query)), 'query') ?? {})
      for (const [name, value] of fields) {
        if (typeof value === 'number') same(name, Number.isSafeInteger(value), true)
        if (typeof value === 'string') same(name, isStorable(value), true)
        if (name === 'since') same(name, Number.isNaN(Date.parse(String(value))), false)
      }
      return fields.map(([name]) => name).join()
    },
  },
  {
    name: 'signed-report',
    form: 'text',
    tokens: ['type', 'inventory', 'attempt', 'refusal', 'trust_reset', '__proto__', '\\u0000', '\\ud800', '"version":'],
    refusals: [CoreError],
    read: (input) => {
      const body = textOf(input)
      const hostId = hostIdOf(publicBytes)
      const head = { epoch: 'ab'.repeat(16), seq: 1, at: '2026-11-23T10:00:00Z', previous: null }
      const bodySha256 = createHash('sha256').update(body).digest('hex')
      const signature = signBytes(reportStatement({ hostId, ...head, bodySha256 })).toString('hex')
      const [verified] = verifyReports({ hostId, publicKey: publicBytes }, [{ ...head, body, signature }])
      same('a database can hold it', findUnstorable(JSON.stringify(verified?.report.body)), undefined)
      return verified?.report.body.type
    },
  },
  {
    name: 'request-target',
    form: 'text',
    tokens: ['/', '//', '/../', '%2e', '%2f', '%5c', '\\', '?', '#', '%00', ';', '@', ':', 'http://other/'],
    refusals: [],
    read: (input) => {
      const target = textOf(input)
      // Node's own parser lets nothing else through.
      if (!/^[!-~]+$/.test(target)) return 'no target'
      const ambiguity = findAmbiguity(target)
      if (ambiguity !== undefined) return ambiguity
      const url = new URL(target, 'http://here')
      const path = target.split('?')[0] ?? ''
      same('this host', url.host, 'here')
      same('as many segments', url.pathname.split('/').length, path.split('/').length)
      same(
        'a segment is no step',
        unescaped(path)
          .split('/')
          .slice(1, -1)
          .some((one) => /^\.{0,2}$/.test(one)),
        false,
      )
      return 'one path'
    },
  },
  {
    name: 'forwarded-for',
    form: 'text',
    tokens: [
      ',',
      '10.0.0.1',
      '::ffff:10.0.0.1',
      'fd00::1',
      '192.0.2.1',
      '2001:db8::1',
      'unknown',
      '%eth0',
      '127.1',
      ' ',
    ],
    refusals: [],
    read: (input) => {
      const incoming = new IncomingMessage(new Socket())
      Object.defineProperty(incoming.socket, 'remoteAddress', { value: '10.0.0.9' })
      incoming.headers['x-forwarded-for'] = textOf(input)
      const address = clientAddress(incoming, trusted)
      same('an address', isIP(address) > 0, true)
      same('one limit for one address', limitKey(address), limitKey(address.toLowerCase()))
      return isIP(address)
    },
  },
  {
    name: 'trusted-proxy',
    form: 'text',
    tokens: ['/', '10.0.0.0/8', '::1', '/32', '/0', '/08', '0x8', '1e1', ' ', '%eth0', '-1'],
    refusals: [ShapeError],
    read: (input) => {
      const entry = textOf(input)
      const list = parseTrustedProxies([entry])
      const isAll = list.check('192.0.2.1', 'ipv4') && list.check('10.0.0.1', 'ipv4')
      same('everybody only where that is what it says', isAll && !/:|\/[0-5]$/.test(entry), false)
      return isAll
    },
  },
  {
    name: 'server-config',
    form: 'text',
    tokens: [
      'schema:',
      'listen:',
      'database:',
      'kind: s3',
      'storage:',
      'lifetimes:',
      'tls:',
      '&a ',
      '*a',
      '<<: ',
      '? ',
      '{',
      '[',
    ],
    refusals: [ShapeError, PlatformError],
    read: async (input) => {
      const disk = createSimDisk({ files: { '/srv/server.yml': input } })
      const config = await loadConfig(disk, '/srv', { environment: {} })
      same('a port', config.listen.port <= PORT, true)
      for (const ms of Object.values(config.lifetimesMs)) same('a lifetime', Number.isSafeInteger(ms) && ms > 0, true)
      return `${config.database.kind} ${config.storage.kind}`
    },
  },
  {
    name: 's3-credentials',
    form: 'text',
    tokens: ['access_key:', 'secret_key:', '&a ', '*a', '? ', '|', '>'],
    refusals: [ShapeError, PlatformError],
    read: async (input) => {
      const { accessKey } = await loadS3Credentials(createSimDisk({ files: { '/s3.yml': input } }), '/s3.yml')
      return accessKey.length > 0
    },
  },
  {
    name: 'listen-address',
    form: 'text',
    tokens: [':', '[::1]', '0.0.0.0', ':8400', '65535', '65536'],
    refusals: [ShapeError],
    read: (input) => {
      const { host, port } = parseListen(textOf(input))
      same('a port', Number.isSafeInteger(port) && port <= PORT, true)
      return host.includes(':')
    },
  },
  {
    name: 'blob-key',
    form: 'text',
    tokens: ['/', '..', '.', '~', '%2e', 'metadata/', '\\', '\0'],
    refusals: [],
    read: (input) => {
      const key = textOf(input)
      if (!isBlobKey(key)) return 'refused'
      same('below its folder', resolve('/blobs', key), `/blobs/${key}`)
      return 'taken'
    },
  },
]

function unescaped(path: string): string {
  return path.replaceAll(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}
