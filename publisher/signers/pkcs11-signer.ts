// A key in a token, through OpenSC's pkcs11-tool: no native module in this process, and any PKCS#11 library can be joined. The PIN goes to it in its
// environment, never in its words. ECDSA is signed over the SHA-256 that is made here, because few tokens hash themselves.
//
// Gap: pkcs11-tool 0.23 hands a token at most 1,024 bytes of an Ed25519 message, and signed documents are longer. Where it refuses, this says so and names
// the ways out (a P-256 key, or a program of one's own through exec).
import { hash } from 'node:crypto'
import { resolve } from 'node:path'
import type { PublicKey } from '../../keys/key.ts'
import { callProgram } from './call-program.ts'
import { programPath, stdoutOf } from './exec-signer.ts'
import { readPublicKey } from './public-key.ts'
import type { SignCall, SignerDeps } from './sign-call.ts'
import { SignerError, type SignerErrorCode } from './signer-error.ts'
import type { Pkcs11Spec } from './signers-file.ts'

/** The signature that the token made; not verified yet. Throws SignerError. */
export async function signByToken(
  { deps, what, folder, key, message }: SignCall,
  spec: Pkcs11Spec,
): Promise<Uint8Array> {
  const token = buildToken(deps, what, folder, spec)
  const { mechanism, input } = mechanismOf(what, key.publicKey, message)
  return token.run([...(await token.keyWords()), '--sign', ...mechanism], input)
}

/** The public key as the token has it. Throws SignerError, PublishError `config` for a key of a type that can't be used. */
export async function readTokenKey(
  deps: SignerDeps,
  what: string,
  folder: string,
  spec: Pkcs11Spec,
): Promise<PublicKey> {
  const token = buildToken(deps, what, folder, spec)
  const bytes = await token.run([...(await token.keyWords()), '--read-object', '--type', 'pubkey'], new Uint8Array())
  return readPublicKey(bytes, what)
}

function mechanismOf(what: string, { scheme }: PublicKey, message: Uint8Array) {
  if (scheme === 'ed25519') return { mechanism: ['--mechanism', 'EDDSA'], input: message }
  if (scheme !== 'ecdsa-sha2-nistp256')
    throw new SignerError('no-key', `${what}: expected a token's key to be Ed25519 or P-256, found ${scheme}`)
  return {
    mechanism: ['--mechanism', 'ECDSA', '--signature-format', 'openssl'],
    input: hash('sha256', message, 'buffer'),
  }
}

const PIN_VARIABLE = 'NETLINK_PKCS11_PIN'

function buildToken(deps: SignerDeps, what: string, folder: string, spec: Pkcs11Spec) {
  const module = programPath(spec.module, folder)
  const call = async (words: readonly string[], stdin: Uint8Array, pin: string | undefined): Promise<Uint8Array> => {
    const timeoutMs = spec.timeout_s * 1000
    const end = await callProgram({
      argv: [programPath(spec.program, folder), '--module', module, ...(pin === undefined ? [] : LOGIN), ...words],
      cwd: folder,
      env: pin === undefined ? deps.env : { ...deps.env, [PIN_VARIABLE]: pin },
      stdin,
      timeoutMs,
      signal: deps.signal,
    })
    try {
      return stdoutOf(end, { what, program: spec.program, timeoutMs })
    } catch (error) {
      throw error instanceof SignerError ? explained(error, what, spec, stdin.length) : error
    }
  }
  const run = async (words: readonly string[], stdin: Uint8Array) =>
    call(words, stdin, await pinOf(deps, what, folder, spec))
  const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')
  const slotWords = async () => {
    if (spec.token !== undefined) return ['--token-label', spec.token]
    // Without a PIN: it belongs to one token, and this asks all of them.
    const slots = await call(['--list-token-slots'], new Uint8Array(), undefined)
    return ['--slot', slotOf(what, spec.serial ?? '', textOf(slots))]
  }
  const keyWords = async () => {
    const slot = await slotWords()
    if (spec.key_id !== undefined) return [...slot, '--id', spec.key_id]
    // pkcs11-tool 0.23 takes no heed of a label when it signs.
    const objects = await run([...slot, '--list-objects', '--type', 'pubkey'], new Uint8Array())
    return [...slot, '--id', keyIdByLabel(what, spec.key ?? '', textOf(objects))]
  }
  return { run, keyWords }
}

const LOGIN = ['--login', '--pin', `env:${PIN_VARIABLE}`]

async function pinOf(
  deps: SignerDeps,
  what: string,
  folder: string,
  { pin_file, pin_env }: Pkcs11Spec,
): Promise<string | undefined> {
  if (pin_file !== undefined) return deps.readSecret(resolve(folder, pin_file))
  if (pin_env === undefined) return undefined
  const pin = deps.env[pin_env]
  if (pin === undefined || pin === '')
    throw new SignerError('wrong-pin', `${what}: expected the PIN in the variable ${pin_env}, found none`)
  return pin
}

/** `Slot 0 (0x6a2c): …` and, indented below it, `serial num : 7541…`. */
function slotOf(what: string, serial: string, listing: string): string {
  const found = listing
    .split(/^(?=Slot )/m)
    .find((slot) => /^\s+serial num\s*:\s*(\S+)\s*$/m.exec(slot)?.[1]?.toLowerCase() === serial.toLowerCase())
  const id = /^Slot \d+ \((0x[0-9a-f]+)\)/.exec(found ?? '')?.[1]
  if (id === undefined) throw new SignerError('no-token', `${what}: no token with the serial number ${serial}`)
  return id
}

/** `Public Key Object; …` and, indented below it, `label: root` and `ID: 01`. */
function keyIdByLabel(what: string, label: string, listing: string): string {
  const ids = listing
    .split(/^(?=\S)/m)
    .filter((object) => /^\s+label:\s+(.*?)\s*$/m.exec(object)?.[1] === label)
    .map((object) => /^\s+ID:\s+([0-9a-f]+)\s*$/m.exec(object)?.[1])
  const [id, ...others] = [...new Set(ids)]
  if (id !== undefined && others.length === 0) return id
  const found = ids.length === 0 ? 'none' : others.length > 0 ? `${ids.length} of them` : 'one without a CKA_ID'
  throw new SignerError('no-key', `${what}: expected one public key labelled ${label} in the token, found ${found}`)
}

/** What pkcs11-tool says, in words that help; the PIN is not in them. */
const REASONS: readonly (readonly [pattern: RegExp, code: SignerErrorCode, words: string])[] = [
  [/CKR_PIN_LOCKED/, 'wrong-pin', 'the token is locked after too many wrong PINs'],
  [/CKR_(USER_)?PIN_/, 'wrong-pin', 'the token refuses the PIN'],
  [/CKR_USER_NOT_LOGGED_IN/, 'wrong-pin', 'the token wants a PIN: give pin_file or pin_env'],
  [/No slot with token named|CKR_TOKEN_NOT_PRESENT|CKR_SLOT_ID_INVALID/, 'no-token', 'the token is not there'],
  [/Failed to load pkcs11 module/, 'no-token', "the module can't be loaded"],
  [/key not found|object not found/i, 'no-key', 'the token holds no such key'],
]

/** One read of pkcs11-tool 0.23. */
const ONE_READ_BYTES = 1024

function explained(error: SignerError, what: string, spec: Pkcs11Spec, bytes: number): SignerError {
  const { said = '' } = error.facts
  const name = `${spec.module}, ${spec.token ?? spec.serial}`
  if (error.code !== 'program-failed') return error
  if (bytes > ONE_READ_BYTES && said.includes('C_SignUpdate'))
    return new SignerError(
      'too-long',
      `${what}: this ${spec.program} signs at most ${ONE_READ_BYTES} bytes with Ed25519, and the document has ${bytes}: use a P-256 key, or exec`,
      { said },
    )
  const reason = REASONS.find(([pattern]) => pattern.test(said))
  if (reason === undefined) return error
  return new SignerError(reason[1], `${what}: ${reason[2]} (${name})`, { said })
}
