// What must not go out with a release by accident: a published artifact is public, and what was public once is burnt.
// Two rules: the name alone (`.env`, `id_ed25519`), or the bytes (a private key's body, a token with a known prefix).
// A word such as "BEGIN PRIVATE KEY" alone is no secret: every TLS library holds it. Only a header with a body behind it counts.

/** Why the name of a file says that it holds a secret, or undefined. `path` is relative, with slashes. */
export function secretInName(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  if (SAMPLE.test(name)) return undefined
  return NAMES.find(([pattern]) => pattern.test(pattern.source.includes('/') ? path.toLowerCase() : name))?.[1]
}

const SAMPLE = /\.(example|sample|template|dist|md)$/
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^\.env(\..+)?$/, 'an environment file'],
  [/^id_(rsa|dsa|ecdsa|ed25519)(_sk)?$/, 'an SSH private key'],
  [/\.(p12|pfx|jks|keystore)$/, 'a store of private keys'],
  [/^online\.keys$/, 'the keys that an update server signs with'],
  [/^\.(netrc|pgpass|pypirc|git-credentials|htpasswd)$/, 'a file of passwords'],
  [/(^|\/)\.aws\/credentials$/, 'cloud credentials'],
  [/(^|\/)\.docker\/config\.json$/, 'registry credentials'],
  [/(^|\/)\.kube\/config$/, 'cluster credentials'],
]

/** Looks for secrets in a file that comes in chunks. */
export interface SecretScan {
  /** Looks at the next bytes of the file. */
  add(chunk: Uint8Array): void
  /** What was found first, or undefined. */
  readonly found: string | undefined
}

/** A scan over the bytes of one file, from its first. */
export function scanSecrets(): SecretScan {
  let found: string | undefined
  let tail: Buffer = Buffer.alloc(0)
  return {
    add(chunk) {
      if (found !== undefined) return
      const window = Buffer.concat([tail, chunk])
      found = secretIn(window)
      tail = Buffer.from(window.subarray(Math.max(0, window.length - OVERLAP_BYTES)))
    },
    get found() {
      return found
    },
  }
}

/** Longer than any pattern below, so that none hides on the edge of two chunks. */
const OVERLAP_BYTES = 1024

interface Rule {
  /** A fixed text that every match holds: searching it is fast, and the pattern is only tried around it. */
  readonly anchor: string
  /** How far before the anchor a match may begin. */
  readonly before: number
  readonly pattern: RegExp
  readonly what: string
}

const RULES: readonly Rule[] = [
  {
    anchor: 'PRIVATE KEY',
    before: 32,
    pattern:
      /-----BEGIN [A-Z ]{0,20}PRIVATE KEY( BLOCK)?-----(\r?\n|(?:\\r)?\\n)([A-Za-z-]{1,40}: [^\r\n]{1,200}\r?\n){0,4}(\r?\n)?[A-Za-z0-9+/=]{32}/,
    what: 'a private key',
  },
  { anchor: 'AGE-SECRET-KEY-1', before: 0, pattern: /AGE-SECRET-KEY-1[0-9A-Z]{58}/, what: 'an age identity' },
  {
    anchor: 'nlk_',
    before: 0,
    pattern: /nlk_[a-z-]{4,16}_[0-9A-Za-z]{1,64}_[0-9A-Za-z_-]{20}/,
    what: 'a token of this update server',
  },
  {
    anchor: '_authToken',
    before: 0,
    pattern: /_authToken\s*=\s*["']?(?!\$\{)[^\s"'$]{8}/,
    what: 'a token of a package registry',
  },
  { anchor: 'npm_', before: 0, pattern: /npm_[0-9A-Za-z]{36}/, what: 'a token of a package registry' },
  { anchor: 'ghp_', before: 0, pattern: /ghp_[0-9A-Za-z]{36}/, what: 'a token of a code host' },
  { anchor: 'github_pat_', before: 0, pattern: /github_pat_[0-9A-Za-z_]{60}/, what: 'a token of a code host' },
  { anchor: 'glpat-', before: 0, pattern: /glpat-[0-9A-Za-z_-]{20}/, what: 'a token of a code host' },
  { anchor: 'xoxb-', before: 0, pattern: /xoxb-[0-9]{9,}-[0-9A-Za-z-]{20}/, what: 'a token of a chat service' },
  { anchor: 'sk_live_', before: 0, pattern: /sk_live_[0-9A-Za-z]{20}/, what: 'a key of a payment service' },
  {
    anchor: 'aws_secret_access_key',
    before: 0,
    pattern: /aws_secret_access_key["']?\s*[=:]\s*["']?[0-9A-Za-z/+]{40}/,
    what: 'cloud credentials',
  },
]

function secretIn(window: Buffer): string | undefined {
  return RULES.find((rule) => matches(window, rule))?.what
}

function matches(window: Buffer, { anchor, before, pattern }: Rule): boolean {
  for (let at = window.indexOf(anchor); at !== -1; at = window.indexOf(anchor, at + anchor.length)) {
    const around = window.toString('latin1', Math.max(0, at - before), at + OVERLAP_BYTES - before)
    if (pattern.test(around)) return true
  }
  return false
}
