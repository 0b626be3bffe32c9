// Signing events that this folder knows, one file each: what was proposed, with the signatures that were good when they came. Everything is verified again
// when it is used, so the folder is a convenience; without it an event comes from the server or from a file.
//
//   events/e_<32 digits>.json           as it is carried
//   events/e_<32 digits>.aborted.json   it was stopped, and why
import { join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../../keys/json.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { unlessMissing } from '../../keys/platform/if-there.ts'
import { timeShape } from '../../schema/manifest.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import {
  type CarriedEvent,
  carriedEventShape,
  eventIdShape,
  type SignatureFile,
  signatureFileShape,
} from '../../schema/signing-event.ts'
import { parseBrought } from '../brought-file.ts'

/** A carried event with a repository of a thousand releases fits. */
const MAX_BYTES = 64 * 1_048_576

const abortedShape = z.strictObject({ at: timeShape, reason: z.string() })
export type Aborted = z.infer<typeof abortedShape>

/** Replaces what the folder knew of it. */
export async function saveEvent(disk: Disk, folder: string, event: CarriedEvent): Promise<void> {
  await makeDirDurable(disk, folder, 0o700)
  await writeJson(disk, join(folder, `${event.id}.json`), event)
}

/** undefined: this folder does not know it. Throws PublishError `usage`, ShapeError. */
export async function loadEvent(disk: Disk, folder: string, id: string): Promise<CarriedEvent | undefined> {
  return unlessMissing(() => readEventFile(disk, join(folder, `${id}.json`)))
}

/** Everything that this folder knows, aborted ones too. */
export async function listEvents(disk: Disk, folder: string): Promise<readonly CarriedEvent[]> {
  const names = (await unlessMissing(() => disk.list(folder))) ?? []
  const ids = names.flatMap(({ name }) => (name.endsWith('.json') ? [name.slice(0, -'.json'.length)] : []))
  const found: CarriedEvent[] = []
  for (const id of ids.filter((one) => eventIdShape.safeParse(one).success)) {
    const event = await loadEvent(disk, folder, id)
    if (event !== undefined) found.push(event)
  }
  return found.sort((a, b) => (a.proposed_at < b.proposed_at ? 1 : -1))
}

/** Remembers that it was stopped. */
export async function saveAborted(disk: Disk, folder: string, id: string, aborted: Aborted): Promise<void> {
  await makeDirDurable(disk, folder, 0o700)
  await writeJson(disk, join(folder, `${id}.aborted.json`), aborted)
}

export async function loadAborted(disk: Disk, folder: string, id: string): Promise<Aborted | undefined> {
  const file = join(folder, `${id}.aborted.json`)
  return unlessMissing(async () => parseShape(abortedShape, parseJson(await disk.readFile(file, 65_536)), file))
}

/** An event that somebody brought. Throws PublishError `usage` for another file, ShapeError, PlatformError. */
export async function readEventFile(disk: Disk, file: string): Promise<CarriedEvent> {
  const bytes = await disk.readFile(file, MAX_BYTES)
  return parseBrought(bytes, file, { expected: 'a signing event', shape: carriedEventShape })
}

/** Signatures that somebody brought. Throws as readEventFile. */
export async function readSignatureFile(disk: Disk, file: string): Promise<SignatureFile> {
  const bytes = await disk.readFile(file, MAX_BYTES)
  return parseBrought(bytes, file, { expected: 'a signature', shape: signatureFileShape })
}

/** One value a line, so that a person can look into it. */
export async function writeJson(disk: Disk, file: string, value: object): Promise<void> {
  await replaceFile(disk, file, new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`), 0o600)
}
