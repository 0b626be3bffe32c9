// What was signed and is not published yet, in a folder of its own: an interrupted release goes on from here, and a second holder can add a signature.
//
//   pending/0a2/pending.json       which documents, manifests and artifacts
//   pending/0a2/<role>.json        signed documents
//   pending/0a2/manifest
//   pending/root-2/                a change that is no release has a subject of its own
import { join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../keys/json.ts'
import { percentEncode } from '../keys/percent-encode.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable, removeDurable, replaceFile } from '../keys/platform/durable.ts'
import { readIfThere } from '../keys/platform/if-there.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { sha256Shape, timeShape } from '../schema/manifest.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { isSubject, type Subject } from '../schema/signing-event.ts'
import { parseStrict } from '../schema/strict-shape.ts'
import { isVersion, versionShape } from '../schema/version.ts'
import type { Change } from './signing.ts'

const subjectShape = z.custom<Subject>(isSubject, 'expected a version, root-N or refresh-NAME')

const pendingShape = z.strictObject({
  schema: z.literal('netlink.pending/v1'),
  /** A release is called by its version, whatever else by `subject`; never both. */
  version: versionShape.optional(),
  subject: subjectShape.optional(),
  signed_at: timeShape,
  roles: z.array(z.string()),
  manifest: z.string().nullable(),
  artifacts: z.array(z.strictObject({ sha256: sha256Shape, length: z.int().min(1) })),
})

/** A signed change that waits to be published. */
export interface Pending {
  readonly subject: Subject
  readonly signedAt: string
  readonly change: Change
  readonly artifacts: readonly { readonly sha256: string; readonly length: number }[]
}

const MAX_BYTES = 8_000_000

/** Puts it in the place of an earlier one of the same subject. pending.json is written last and removed first: without it there is nothing. */
export async function savePending(disk: Disk, folder: string, pending: Pending): Promise<void> {
  const below = join(folder, pending.subject)
  await removePending(disk, folder, pending.subject)
  await makeDirDurable(disk, below, 0o700)
  for (const [role, bytes] of pending.change.documents) await replaceFile(disk, roleFile(below, role), bytes, 0o600)
  const [manifest] = pending.change.manifests
  if (manifest !== undefined) await replaceFile(disk, join(below, 'manifest'), manifest[1], 0o600)
  const index: z.input<typeof pendingShape> = {
    schema: 'netlink.pending/v1',
    ...(isVersion(pending.subject) ? { version: pending.subject } : { subject: pending.subject }),
    signed_at: pending.signedAt,
    roles: [...pending.change.documents.keys()],
    manifest: manifest?.[0] ?? null,
    artifacts: [...pending.artifacts],
  }
  await replaceFile(
    disk,
    join(below, 'pending.json'),
    new TextEncoder().encode(`${JSON.stringify(index, null, 1)}\n`),
    0o600,
  )
}

/** The pending change of a subject, undefined if there is none. Not verified: whoever goes on with it does. Throws ShapeError, PlatformError. */
export async function loadPending(disk: Disk, folder: string, subject: Subject): Promise<Pending | undefined> {
  const below = join(folder, subject)
  const file = join(below, 'pending.json')
  const bytes = await readIfThere(disk, file, MAX_BYTES)
  if (bytes === undefined) return undefined
  const index = parseStrict(pendingShape, parseJson(bytes), file)
  if ((index.version ?? index.subject) !== subject || (index.version !== undefined && index.subject !== undefined)) {
    throw new ShapeError(file, [{ pointer: '', message: `expected what waits as ${subject}, and that alone` }])
  }
  const documents = new Map<string, Uint8Array>()
  for (const role of index.roles) documents.set(role, await disk.readFile(roleFile(below, role), MAX_BYTES))
  const manifests = new Map<string, Uint8Array>()
  if (index.manifest !== null) manifests.set(index.manifest, await disk.readFile(join(below, 'manifest'), MAX_BYTES))
  return {
    subject,
    signedAt: index.signed_at,
    change: { documents, manifests },
    artifacts: index.artifacts,
  }
}

/** What waits, in no particular order. */
export async function listPending(disk: Disk, folder: string): Promise<readonly Subject[]> {
  try {
    const names = (await disk.list(folder)).map(({ name }) => name).filter(isSubject)
    const there = await Promise.all(
      names.map((name) => readIfThere(disk, join(folder, name, 'pending.json'), MAX_BYTES)),
    )
    return names.filter((_, index) => there[index] !== undefined)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return []
    throw error
  }
}

/** Nothing there is fine. */
export async function removePending(disk: Disk, folder: string, subject: Subject): Promise<void> {
  await removeDurable(disk, join(folder, subject, 'pending.json'))
  await removeDurable(disk, join(folder, subject))
}

function roleFile(below: string, role: string): string {
  return join(below, `role-${percentEncode(role)}.json`)
}
