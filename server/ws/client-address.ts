// From where a connection comes, for limits and for the log. Nothing is ever permitted because of it.
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { ShapeError } from '../../schema/shape-error.ts'

/** Proxies whose `x-forwarded-for` is believed: addresses and networks in CIDR notation. */
export type TrustedProxies = BlockList

/** Throws ShapeError naming the entry that is neither an address nor a network. */
export function parseTrustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const entry of entries) {
    const { address, bits, family } = readNetwork(entry)
    list.addSubnet(address, bits, family)
  }
  return list
}

/** `10.0.0.0/` is no network of 0 bits, which would be everybody. */
function readNetwork(entry: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } {
  const [, address = '', prefix] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(entry) ?? []
  const family = familyOf(address)
  const most = family === 'ipv4' ? 32 : 128
  const bits = Number(prefix ?? most)
  if (family && bits <= most) return { address, bits, family }
  const message = 'expected an address or a network such as 10.0.0.0/8'
  throw new ShapeError(`trusted proxy ${JSON.stringify(entry)}`, [{ pointer: '', message }])
}

/** The client's address: the peer's, or behind trusted proxies the last one that they did not add themselves. `unknown` without a connection. */
export function clientAddress(incoming: IncomingMessage | undefined, trusted: TrustedProxies): string {
  let address = plain(incoming?.socket?.remoteAddress)
  if (address === 'unknown' || !isTrusted(address, trusted)) return address
  const forwarded = [incoming?.headers['x-forwarded-for'] ?? []].flat().join(',').split(',')
  for (const hop of forwarded.reverse()) {
    const named = plain(hop.trim())
    if (named === 'unknown') return address
    address = named
    if (!isTrusted(address, trusted)) return address
  }
  return address
}

/** What shares one limit: an IPv4 address, or an IPv6 /64, because one customer has all of it. */
export function limitKey(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail = ''] = address.split('::')
  const front = head.split(':').filter(Boolean)
  const back = tail.split(':').filter(Boolean)
  const gap = address.includes('::') ? new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0') : []
  return `${[...front, ...gap, ...back].slice(0, 4).join(':')}::/64`
}

/** IPv4 in IPv6 notation (`::ffff:10.0.0.1`, of a socket that listens on both) is that IPv4 address. */
function plain(address: string | undefined): string {
  const bare = address?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '')
  return bare && isIP(bare) !== 0 ? bare.toLowerCase() : 'unknown'
}

function isTrusted(address: string, trusted: TrustedProxies): boolean {
  const family = familyOf(address)
  return family !== undefined && trusted.check(address, family)
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address)
  return version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : undefined
}
