// Files that people carry from machine to machine look alike: what one of them is, and which command takes it.
import type { z } from 'zod'
import { isJsonObject, type JsonValue, parseJson } from '../keys/json.ts'
import { TrustError } from '../keys/trust-error.ts'
import { shellWord } from '../schema/cli/shell-word.ts'
import { parseShape } from '../schema/parse-shape.ts'
import { PublishError } from './publish-error.ts'

/** What this program can say of a file that it has read. */
export type BroughtKind =
  | 'a signing event'
  | 'a signature'
  | 'an authorisation to go down'
  | 'public keys'
  | 'a root'
  | 'a release.json'

const takenBy: Readonly<Record<BroughtKind, (file: string) => string>> = {
  'a signing event': (file) => `netlink-publish sign ${file} --signer NAME`,
  'a signature': (file) => `netlink-publish add-signature ${file}`,
  'an authorisation to go down': (file) => `netlink-publish sign ${file} --signer NAME`,
  'public keys': (file) => `netlink-publish root add-key NAME --public ${file}`,
  'a root': (file) => `netlink-publish verify SERVER-URL --root ${file}`,
  'a release.json': () => 'netlink-publish propose VERSION --from DIR',
}

/** The file as what was expected. Throws PublishError `usage` that says what it is instead, ShapeError for the places in it that are wrong. */
export function parseBrought<T>(
  bytes: Uint8Array,
  file: string,
  { expected, shape }: { readonly expected: BroughtKind; readonly shape: z.ZodType<T> },
): T {
  const value = parseBroughtJson(bytes, file, expected)
  if (kindOf(value) !== expected) throw wrongFile(value, file, expected)
  return parseShape(shape, value, file)
}

/** The JSON in the file. Throws PublishError `usage` if there is none. */
export function parseBroughtJson(bytes: Uint8Array, file: string, expected: BroughtKind): JsonValue {
  try {
    return parseJson(bytes)
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause
    const message = `${file} is not ${expected}, and not even JSON: ${cause.message}; it may have been cut off`
    throw new PublishError('usage', message, { next: [`ls -l ${shellWord(file)}`] }, { cause })
  }
}

/** Says what the file is and which command takes it. */
export function wrongFile(value: JsonValue, file: string, expected: string): PublishError {
  const kind = kindOf(value)
  if (kind === undefined) return new PublishError('usage', `${file} is not ${expected}`)
  return new PublishError('usage', `${file} is ${kind}, not ${expected}`, { next: [takenBy[kind](shellWord(file))] })
}

/** What a JSON file says of itself to be; undefined for whatever this program does not know. Nothing in it has been checked. */
export function kindOf(value: JsonValue): BroughtKind | undefined {
  if (!isJsonObject(value)) return undefined
  const { schema, signed, keys } = value
  if (isJsonObject(signed) && signed._type === 'downgrade-authorization') return 'an authorisation to go down'
  if (isJsonObject(signed) && signed._type === 'root') return 'a root'
  switch (schema) {
    case 'netlink.signing-event/v1':
      return 'a signing event'
    case 'netlink.signature/v1':
      return 'a signature'
    case 'netlink.release/v1':
      return 'a release.json'
    default:
      return Array.isArray(keys) ? 'public keys' : undefined
  }
}
