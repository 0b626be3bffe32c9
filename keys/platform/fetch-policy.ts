import type { PlatformErrorCode } from './platform-error.ts'

export type AddressDecision =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly code: PlatformErrorCode; readonly why: string }

/** Whether this address may be asked at all: https anywhere, plain http on this machine or where the user allowed it, nothing else. */
export function decideAddress(url: URL, insecureHttp: boolean): AddressDecision {
  if (url.protocol === 'https:') return { kind: 'allowed' }
  if (url.protocol !== 'http:') return refused('insecure', `expected https or http, not ${url.protocol.slice(0, -1)}`)
  if (insecureHttp || isLoopback(url.hostname)) return { kind: 'allowed' }
  return refused('insecure', `plain http to another machine (${url.hostname})`)
}

export type RedirectDecision =
  | { readonly kind: 'follow'; readonly url: URL }
  | { readonly kind: 'refused'; readonly why: string }

/**
 * Where a redirect from `from` leads: to the same origin or nowhere. Whoever got hold of a server could otherwise let every host ask any address that this
 * host reaches and they don't: inside its network, on itself, of its cloud.
 */
export function decideRedirect(from: URL, location: string | undefined): RedirectDecision {
  if (location === undefined || !URL.canParse(location, from.href)) {
    return { kind: 'refused', why: 'redirected without a usable location' }
  }
  const url = new URL(location, from)
  if (url.username || url.password) return { kind: 'refused', why: 'redirected to an address with a password in it' }
  // The origin alone won't do: that of blob:https://a.example/y is https://a.example.
  if (url.protocol === from.protocol && url.origin === from.origin) return { kind: 'follow', url }
  return { kind: 'refused', why: `redirected to ${url.protocol}//${url.host}` }
}

/** Whether a host name as URL writes it means this machine and nothing else. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}

/** An address as it may stand in a log: no password and no query, which is where storage services put their signatures. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

function refused(code: PlatformErrorCode, why: string): AddressDecision {
  return { kind: 'refused', code, why }
}
