// Who this host is: written once by `agent enroll`, read by everything that talks to the server. Read by hand, not by zod: the daemon stays small.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { type Channel, isChannel } from './channel.ts'
import { booleanIn, optionalTextIn, type Record, recordOf, textIn } from './record.ts'

/** `<state>/agent.json`. */
export interface Enrolment {
  readonly server: string
  readonly host_id: string
  readonly name: string
  readonly product: string
  readonly channel: Channel
  readonly group: string | null
  readonly labels: Readonly<{ [name: string]: string }>
  /** PEM of the server's own certificate authority. In this file, so that no cut leaves one server's authority with another server. */
  readonly ca: string | null
  /** As an earlier build wrote it: the authority still lies beside this file, and `openEnrolment` takes it from there. */
  readonly has_ca?: true
  /** Plain http to another machine was allowed in so many words. */
  readonly insecure_http: boolean
  /** Who runs the service of this host, and under `systemd` which unit it is. */
  readonly service: { readonly control: 'exec' | 'systemd' | 'none'; readonly unit: string }
  /** UTC, one second's resolution. */
  readonly enrolled_at: string
}

/** Unless `agent enroll` was told otherwise. */
export const DEFAULT_SERVICE: Enrolment['service'] = { control: 'exec', unit: 'netlink-app.service' }

/** Throws ShapeError naming the file and what is wrong in it. */
export function parseEnrolment(value: unknown, file: string): Enrolment {
  const record = recordOf(value, file)
  const channel = textIn(record, 'channel')
  return {
    server: textIn(record, 'server'),
    host_id: textIn(record, 'host_id', /^h_[0-9a-f]{32}$/),
    name: textIn(record, 'name'),
    product: textIn(record, 'product'),
    channel: isChannel(channel) ? channel : record.wrong('channel', 'expected alpha, beta or release'),
    group: optionalTextIn(record, 'group'),
    labels: labelsIn(record),
    ...authorityIn(record),
    insecure_http: booleanIn(record, 'insecure_http'),
    service: serviceIn(record),
    enrolled_at: textIn(record, 'enrolled_at'),
  }
}

/** Longest certificate authority in bytes: escaped as JSON it still has room in a file of state. */
export const MAX_CA_BYTES = 131_072

function authorityIn(record: Record): Pick<Enrolment, 'ca' | 'has_ca'> {
  const ca = caIn(record)
  const isBeside = record.fields.has_ca !== undefined && booleanIn(record, 'has_ca')
  return ca === null && isBeside ? { ca, has_ca: true } : { ca }
}

function caIn(record: Record): string | null {
  const { ca } = record.fields
  if (ca === null || ca === undefined) return null
  return typeof ca === 'string' && ca.length <= MAX_CA_BYTES ? ca : record.wrong('ca', 'expected certificates or null')
}

function serviceIn(record: Record): Enrolment['service'] {
  const service = recordOf(record.fields.service, record.subject)
  const control = textIn(service, 'control')
  if (control === 'exec' || control === 'systemd' || control === 'none')
    return { control, unit: textIn(service, 'unit') }
  return service.wrong('service/control', 'expected exec, systemd or none')
}

function labelsIn(record: Record): { [name: string]: string } {
  const labels = recordOf(record.fields.labels, record.subject)
  return Object.fromEntries(Object.keys(labels.fields).map((name) => [name, textIn(labels, name)]))
}

/** The host id of a public key of 32 bytes: `h_` and the first 32 hexadecimal digits of its SHA-256. */
export function hostIdOf(publicKey: Uint8Array): string {
  return `h_${createHash('sha256').update(publicKey).digest('hex').slice(0, 32)}`
}

/** PKCS#8 around a bare Ed25519 seed (RFC 8410 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The host's key from the seed of 32 bytes in `<state>/host.key` (64 hexadecimal digits). Throws an Error if the file holds anything else. */
export function parseHostKey(text: string, file: string): KeyObject {
  const hex = text.trim()
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new Error(`${file}: expected 64 hexadecimal digits`)
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, Buffer.from(hex, 'hex')]), format: 'der', type: 'pkcs8' })
}

/** Who says what to whom: what was stored for one host and server is worth nothing under another. */
export function partiesOf({ host_id, server }: Pick<Enrolment, 'host_id' | 'server'>): string {
  return `${host_id} ${server}`
}

/** The 32 bytes of the public key. */
export function publicBytesOf(key: KeyObject): Uint8Array {
  // The last 32 bytes of its SubjectPublicKeyInfo are the key itself (RFC 8410 4).
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
}

/** Ed25519 over the statement, hexadecimal. */
export function signStatement(key: KeyObject, statement: Uint8Array): string {
  return sign(null, statement, key).toString('hex')
}
