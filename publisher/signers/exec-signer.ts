// A program that signs, so that any service or device can be joined.
//
//   argv         exactly the words of the file; no shell, nothing added
//   stdin        the message: the canonical bytes that the signature is to speak for, then end of file
//   environment  this program's own without NETLINK_TOKEN, and NETLINK_SIGN_ROLE (root, alpha, beta, release), NETLINK_SIGN_KEYID
//   stdout       the signature in hexadecimal, white space around it is ignored: 64 bytes for Ed25519, DER for ECDSA, the block for RSA-PSS
//   stderr       for people; its end is shown where the program fails
//   status       0, within the time allowed
import { resolve } from 'node:path'
import { plainText } from '../../schema/cli/plain-text.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { callProgram, type ProgramEnd } from './call-program.ts'
import type { SignCall } from './sign-call.ts'
import { SignerError } from './signer-error.ts'
import type { SecretPlace } from './signers-file.ts'

/** The signature that the program wrote; not verified yet. Throws SignerError. */
export async function signByProgram(
  { deps, what, folder, key, message }: SignCall,
  { argv, timeoutMs }: Extract<SecretPlace, { kind: 'exec' }>,
): Promise<Uint8Array> {
  const [program, ...args] = argv
  const end = await callProgram({
    argv: [programPath(program, folder), ...args],
    cwd: folder,
    env: { ...deps.env, NETLINK_SIGN_ROLE: key.role, NETLINK_SIGN_KEYID: key.publicKey.keyid },
    stdin: message,
    timeoutMs,
    signal: deps.signal,
  })
  return parseSignature(what, program, stdoutOf(end, { what, program, timeoutMs }))
}

/** A name without a slash is looked for on PATH, another path begins at the file that names it. */
export function programPath(program: string, folder: string): string {
  return program.includes('/') ? resolve(folder, program) : program
}

/** What a program that succeeded wrote. Throws SignerError for every other end. */
export function stdoutOf(
  end: ProgramEnd,
  { what, program, timeoutMs }: { readonly what: string; readonly program: string; readonly timeoutMs: number },
): Uint8Array {
  switch (end.kind) {
    case 'missing':
      throw new SignerError('program-missing', `${what}: ${program} can't be run`, {}, { cause: end.cause })
    case 'timeout':
      throw new SignerError('timeout', `${what}: expected ${program} to sign within ${timeoutMs / 1000} s`, {
        said: end.stderr,
      })
    case 'too-much':
      throw new SignerError(
        'bad-output',
        `${what}: expected a signature from ${program}, found more than ${end.maxBytes} bytes`,
        { said: end.stderr },
      )
    case 'ended':
      if (end.status === '0') return end.stdout
      throw new SignerError(
        'program-failed',
        `${what}: expected ${program} to end with status 0, it ended with ${end.status}`,
        { said: end.stderr },
      )
    default:
      return unreachable(end)
  }
}

function parseSignature(what: string, program: string, stdout: Uint8Array): Uint8Array {
  const hex = Buffer.from(stdout).toString('latin1').trim()
  if (/^(?:[0-9a-fA-F]{2}){1,2048}$/.test(hex)) return Buffer.from(hex, 'hex')
  const found = hex === '' ? 'nothing' : JSON.stringify(plainText(hex, 60))
  throw new SignerError(
    'bad-output',
    `${what}: expected a signature in hexadecimal on the stdout of ${program}, found ${found}`,
  )
}
