// `keys/NAME.signers.yml`: how a holder signs where the secret is not in a keyring. What a keyring is for keys in a file, this is for keys in a token, in
// a service, or on another machine. It holds public keys and what to run, no secrets; paths are relative to it.
//
//   schema: netlink.signers/v1
//   holder: bob
//   roles:
//     root:    {public: {…}, pkcs11: {module: /usr/lib/softhsm/libsofthsm2.so, token: releases, key: root, pin_file: /run/secrets/pin}}
//     alpha:   {public: {…}, exec: [/usr/local/bin/kms-sign, --key, alpha]}
//     release: {public: {…}}                       signs on another machine
import { dirname, resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { keyIdOf, type PublicKey, parsePublicKey } from '../../keys/key.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { readIfThere } from '../../keys/platform/if-there.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { assertPrivate } from '../../keys/platform/private-dir.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseStrict } from '../../schema/strict-shape.ts'
import { keyNameShape } from '../../schema/trust-state.ts'
import type { HolderRole } from '../config.ts'
import { PublishError } from '../publish-error.ts'
import { SignerError } from './signer-error.ts'

const MAX_BYTES = 32_768
const text = z
  .string()
  .regex(/^[^\0]+$/, 'expected text without a NUL byte')
  .max(4096)

const pkcs11Shape = z
  .strictObject({
    /** The token's PKCS#11 library. */
    module: text,
    /** The token's label, or its serial number. */
    token: text.optional(),
    serial: text.optional(),
    /** The key's label, or its CKA_ID in hexadecimal. */
    key: text.optional(),
    key_id: z
      .string()
      .regex(/^(?:[0-9a-f]{2}){1,64}$/, 'expected an even number of lower-case hexadecimal digits')
      .optional(),
    /** Where the PIN is: the first line of a file, or a variable. Neither: the module asks for none. */
    pin_file: text.optional(),
    pin_env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'expected the name of a variable')
      .optional(),
    /** OpenSC's program; found on PATH unless said. */
    program: text.default('pkcs11-tool'),
    timeout_s: z.int().min(1).max(600).default(60),
  })
  .refine((one) => (one.token === undefined) !== (one.serial === undefined), 'expected either token or serial')
  .refine((one) => (one.key === undefined) !== (one.key_id === undefined), 'expected either key or key_id')
  .refine((one) => one.pin_file === undefined || one.pin_env === undefined, 'expected pin_file or pin_env, not both')

const roleShape = z
  .strictObject({
    public: z.strictObject({
      keytype: z.string(),
      scheme: z.string(),
      keyval: z.strictObject({ public: z.string().max(16_384) }),
    }),
    /** The program and its arguments. */
    exec: z.tuple([text], text.or(z.literal(''))).optional(),
    timeout_s: z.int().min(1).max(600).optional(),
    pkcs11: pkcs11Shape.optional(),
  })
  .refine((one) => one.exec === undefined || one.pkcs11 === undefined, 'expected exec or pkcs11, not both')
  .refine((one) => one.timeout_s === undefined || one.exec !== undefined, 'timeout_s here belongs to exec')

const fileShape = z.strictObject({
  schema: z.literal('netlink.signers/v1'),
  holder: keyNameShape,
  roles: z.strictObject({
    root: roleShape.optional(),
    alpha: roleShape.optional(),
    beta: roleShape.optional(),
    release: roleShape.optional(),
  }),
})
type WrittenRole = z.infer<typeof roleShape>

/** A key in a token, reached through OpenSC's pkcs11-tool. */
export type Pkcs11Spec = z.infer<typeof pkcs11Shape>

/** The same from words of a command line. Throws ShapeError. */
export function parsePkcs11(written: object): Pkcs11Spec {
  return parseStrict(pkcs11Shape, written, 'the token')
}

/** Where a secret is. */
export type SecretPlace =
  | { readonly kind: 'exec'; readonly argv: readonly [string, ...string[]]; readonly timeoutMs: number }
  | { readonly kind: 'pkcs11'; readonly token: Pkcs11Spec }
  | { readonly kind: 'elsewhere' }

/** One key of a holder, by its role. */
export interface ExternalKey {
  readonly role: HolderRole
  readonly publicKey: PublicKey
  readonly place: SecretPlace
}

/** A holder's keys that are in no keyring. */
export interface SignersFile {
  readonly path: string
  readonly holder: string
  readonly keys: readonly ExternalKey[]
}

const DEFAULT_TIMEOUT_MS = 60_000

/**
 * The file; undefined if there is none. Throws ShapeError, TrustError `bad-key` for a key that may not count, PublishError `config` for another holder's
 * file, and SignerError `writable-by-others`: whoever can change it decides what runs here.
 */
export async function loadSignersFile(disk: Disk, path: string, holder: string): Promise<SignersFile | undefined> {
  // First whose it is, then what it says: in between nobody else can change it.
  await requireOwn(disk, path, 'says what is run to sign')
  const bytes = await readIfThere(disk, path, MAX_BYTES)
  if (bytes === undefined) return undefined
  const written = parseStrict(fileShape, parseYaml(Buffer.from(bytes).toString('utf8'), path), path)
  if (written.holder !== holder)
    throw new PublishError('config', `${path} holds the signers of ${written.holder}, not of ${holder}`)
  const keys = (['root', 'alpha', 'beta', 'release'] as const).flatMap((role) => {
    const found = written.roles[role]
    return found === undefined ? [] : [externalKey(role, found)]
  })
  for (const { place } of keys) await requireOwnProgram(disk, path, place)
  return { path, holder, keys }
}

/** What is named by a path. Where a name alone stands for it, this machine's search path decides. */
async function requireOwnProgram(disk: Disk, file: string, place: SecretPlace): Promise<void> {
  for (const program of programsOf(place)) {
    if (program.includes('/')) await requireOwn(disk, resolve(dirname(file), program), 'is run to sign')
  }
}

function programsOf(place: SecretPlace): readonly string[] {
  if (place.kind === 'exec') return place.argv.slice(0, 1)
  return place.kind === 'pkcs11' ? [place.token.program, place.token.module] : []
}

/** Throws SignerError `writable-by-others` unless the file, and every folder on the way to it, is this user's or root's, and nobody else may change it. */
async function requireOwn(disk: Disk, path: string, what: string): Promise<void> {
  const uid = process.getuid?.() ?? 0
  try {
    const { mode } = await disk.stat(path)
    if ((mode & 0o022) !== 0)
      throw new PlatformError('not-permitted', `${path}: its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}`)
    // Many systems give a user a group of its own, which may write on the way; root's groups are not its own.
    await assertPrivate(disk, path, uid, uid === 0 ? 'refused' : 'trusted')
  } catch (cause) {
    if (!(cause instanceof PlatformError)) throw cause
    // Whether a program is there is told where it is run.
    if (cause.code === 'not-found') return
    if (cause.code !== 'not-permitted') throw cause
    throw new SignerError(
      'writable-by-others',
      `${path} ${what}, and others may change it: ${cause.message}`,
      { path: cause.facts.path ?? path },
      { cause },
    )
  }
}

function externalKey(role: HolderRole, { public: object, exec, timeout_s, pkcs11 }: WrittenRole): ExternalKey {
  const publicKey = parsePublicKey(keyIdOf(object), object)
  if (exec !== undefined) {
    const timeoutMs = timeout_s === undefined ? DEFAULT_TIMEOUT_MS : timeout_s * 1000
    return { role, publicKey, place: { kind: 'exec', argv: exec, timeoutMs } }
  }
  if (pkcs11 !== undefined) return { role, publicKey, place: { kind: 'pkcs11', token: pkcs11 } }
  return { role, publicKey, place: { kind: 'elsewhere' } }
}

function parseYaml(content: string, file: string): unknown {
  try {
    return parse(content, { uniqueKeys: true, strict: true, stringKeys: true, maxAliasCount: 0 })
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    throw new ShapeError(file, [{ pointer: '', message }], { cause })
  }
}

/** Writes it (0600) in the place of an earlier one. */
export async function saveSignersFile(disk: Disk, { path, holder, keys }: SignersFile): Promise<void> {
  const roles = Object.fromEntries(keys.map((key) => [key.role, writtenRole(key)]))
  // Through the shape, so that no file is written that could not be read again.
  const content = parseStrict(fileShape, { schema: 'netlink.signers/v1', holder, roles }, path)
  await makeDirDurable(disk, dirname(path), 0o700)
  await replaceFile(disk, path, new TextEncoder().encode(HEADER + stringify(content)), 0o600)
}

function writtenRole({ publicKey, place }: ExternalKey): JsonObject {
  const written = { public: publicKey.object }
  if (place.kind === 'exec') return { ...written, exec: [...place.argv], timeout_s: place.timeoutMs / 1000 }
  return place.kind === 'pkcs11' ? { ...written, pkcs11: { ...place.token } } : written
}

const HEADER = `# How this holder signs where the key is in no keyring. Holds no secrets; paths are relative to this file.
# exec: a program and its arguments; pkcs11: a token; neither: the key signs on another machine.
`
