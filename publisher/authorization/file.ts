// The file of an authorisation to send hosts down, on its way from holder to holder.
import { isJsonObject, type JsonValue, parseJson } from '../../keys/json.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { createFileDurable, replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { MAX_AUTHORIZATION_BYTES } from '../../schema/downgrade-authorization.ts'
import { equalBytes } from '../equal-bytes.ts'
import { isFileName } from '../event/place.ts'
import { PublishError } from '../publish-error.ts'

/** The bytes of a file that says of itself to be an authorisation; undefined for whatever else it is. Nothing in it has been checked. Throws PlatformError. */
export async function findAuthorization(disk: Disk, file: string): Promise<Uint8Array | undefined> {
  if ((await disk.stat(file)).size > MAX_AUTHORIZATION_BYTES) return undefined
  const bytes = await disk.readFile(file, MAX_AUTHORIZATION_BYTES)
  const document = parsedOrNull(bytes)
  const signed = isJsonObject(document) ? document.signed : undefined
  return isJsonObject(signed) && signed._type === 'downgrade-authorization' ? bytes : undefined
}

/** What is no strict JSON is for others to refuse. */
function parsedOrNull(bytes: Uint8Array): JsonValue {
  try {
    return parseJson(bytes)
  } catch (error) {
    if (error instanceof TrustError) return null
    throw error
  }
}

/** Where a signed authorisation goes, and what it replaces there. */
export interface SavedAuthorization {
  readonly file: string
  /** What was read from `file`; undefined for a file that is yet to be. */
  readonly before: Uint8Array | undefined
  readonly bytes: Uint8Array
}

/** Writes it, whole or not at all. Throws PublishError `conflict` for a file that holds something else, or changed since it was read: it is never replaced. */
export async function saveAuthorization(disk: Disk, { file, before, bytes }: SavedAuthorization): Promise<void> {
  if (before === undefined) return createOrKeep(disk, file, bytes)
  if (!equalBytes(await disk.readFile(file, MAX_AUTHORIZATION_BYTES), before))
    throw new PublishError('conflict', `${file} was changed by somebody else while it was signed here`, {
      state: 'It was left as it is now.',
      next: ['the same command again'],
    })
  if (equalBytes(before, bytes)) return
  await replaceFile(disk, file, bytes, (await disk.stat(file)).mode & 0o777)
}

async function createOrKeep(disk: Disk, file: string, bytes: Uint8Array): Promise<void> {
  try {
    await createFileDurable(disk, file, bytes, 0o644)
  } catch (cause) {
    if (!(cause instanceof PlatformError && cause.code === 'exists')) throw cause
    if (await holds(disk, file, bytes)) return
    const facts = { state: 'It was left as it is.', next: ['the same command with another --out FILE'] }
    throw new PublishError('conflict', `${file} is there already and holds something else`, facts, { cause })
  }
}

async function holds(disk: Disk, file: string, bytes: Uint8Array): Promise<boolean> {
  const { kind, size } = await disk.stat(file)
  return kind === 'file' && size === bytes.length && equalBytes(await disk.readFile(file, size), bytes)
}

/** The file as `netlink-publish sign` takes it for a file and not for the name of an event. */
export function asFileName(name: string): string {
  return isFileName(name) ? name : `./${name}`
}
