// Artifacts come in chunks and may be interrupted: they grow in a spool file, which is the one truth about how much is here. Only when all bytes are
// there and have the hash that names them do they become an object in storage and a row in the database.
//
//   spool/<sha256>.<length>   ->   storage repo/artifacts/<sha256>   ->   row in artifacts
//
// Gap: the spool belongs to one process. Behind a load balancer an upload that changes its replica starts again from nothing.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { artifacts } from '../../schema/db/tables.ts'
import { sha256Shape } from '../../schema/manifest.ts'
import type { UploadState } from '../../schema/rest.ts'
import { writeAudit } from './audit.ts'
import type { Mutation, Publication } from './core.ts'
import { CoreError } from './core-error.ts'
import type { BlobStore, Bytes, Db } from './ports.ts'
import { repositoryKeys } from './repository.ts'

/** The longest artifact. */
const MAX_ARTIFACT_BYTES = 16 * 2 ** 30

export interface UploadsDeps {
  readonly db: Db
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly disk: Disk
  readonly spoolFolder: string
  /** By hash, the entity tag of the object that was hashed: once in this process for each content. */
  readonly checked: Map<string, string>
}

export interface StoredArtifact {
  readonly sha256: string
  readonly sha512: string
  readonly length: number
}

export interface Uploads extends Pick<Publication, 'uploadState' | 'appendUpload'> {
  /** The artifact, if it is here whole and checked. What lies in storage and is not known (a restored database) is hashed and taken in. */
  find(sha256: string): Promise<StoredArtifact | undefined>
  /** Storage keys of known artifacts that are missing or no longer have their hash. */
  findDamaged(): Promise<readonly string[]>
  /** Removes spool files that nobody has added to since `before`. Resolves with how many. */
  sweep(before: Date): Promise<number>
}

export function buildUploads(given: Omit<UploadsDeps, 'checked'>): Uploads {
  const deps: UploadsDeps = { ...given, checked: new Map() }
  const { disk, spoolFolder } = deps
  const inOrder = buildInOrder()

  return {
    find: (sha256) => findArtifact(deps, sha256),
    findDamaged: async () => {
      const damaged: string[] = []
      for (const { sha256 } of await deps.db.queries.select({ sha256: artifacts.sha256 }).from(artifacts)) {
        if (!(await findArtifact(deps, sha256))) damaged.push(repositoryKeys.artifact(sha256))
      }
      return damaged
    },
    uploadState: (text) => {
      const sha256 = parseSha256(text)
      return inOrder(sha256, async () => {
        const spool = await findSpool(deps, sha256)
        // A crash may have come between the last byte and its check.
        if (spool && spool.received === spool.length) await finish(deps, sha256, spool.path, spool.length, BY_SERVER)
        const artifact = await findArtifact(deps, sha256)
        if (artifact) return complete(artifact)
        return { sha256, length: spool?.length ?? null, received: spool?.received ?? 0, complete: false }
      })
    },
    appendUpload: (text, chunk, mutation) => {
      const sha256 = parseSha256(text)
      const length = parseLength(chunk.length)
      return inOrder(sha256, async () => {
        const artifact = await findArtifact(deps, sha256)
        if (artifact) return complete(artifact)
        await makeDirDurable(disk, spoolFolder, 0o700)
        const spool = await findSpool(deps, sha256)
        if (spool && spool.length !== length) await disk.removeTree(spool.path)
        const path = join(spoolFolder, `${sha256}.${length}`)
        const received = await append(deps, path, { ...chunk, length })
        if (received < length) return { sha256, length, received, complete: false }
        return complete(await finish(deps, sha256, path, length, mutation))
      })
    },
    sweep: async (before) => {
      let swept = 0
      for (const { path, modifiedMs } of await listSpool(deps)) {
        if (modifiedMs >= before.getTime()) continue
        await disk.removeTree(path)
        swept++
      }
      return swept
    },
  }
}

const BY_SERVER: Mutation = { actor: { kind: 'server' }, reason: null }

async function append(
  deps: UploadsDeps,
  path: string,
  chunk: { offset: number; length: number; body: Bytes },
): Promise<number> {
  const file = await deps.disk.openAppend(path, 0o600)
  try {
    const start = file.length
    if (chunk.offset !== start) {
      throw new CoreError('offset', `expected the bytes from ${start} on, came those from ${chunk.offset}`, {
        reason: 'offset',
        expected: String(start),
        actual: String(chunk.offset),
      })
    }
    if ((await deps.disk.freeBytes(deps.spoolFolder)) < chunk.length - start) {
      throw new CoreError('no-space', `expected room for ${chunk.length - start} more bytes in ${deps.spoolFolder}`)
    }
    for await (const bytes of chunk.body instanceof Uint8Array ? [chunk.body] : chunk.body) {
      if (file.length + bytes.length > chunk.length) {
        await file.truncate(start)
        throw new CoreError('too-large', `expected ${chunk.length} bytes in all, came more`, {
          expected: String(chunk.length),
        })
      }
      await file.append(bytes)
    }
    return file.length
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'no-space') {
      throw new CoreError('no-space', `there is no room for the artifact in ${deps.spoolFolder}`, {}, { cause: error })
    }
    throw error
  } finally {
    await file.close()
  }
}

/** Checks the whole file, stores it, then makes it known. */
async function finish(
  deps: UploadsDeps,
  sha256: string,
  path: string,
  length: number,
  mutation: Mutation,
): Promise<StoredArtifact> {
  const actual = await digest(deps.disk.readChunks(path))
  if (actual.sha256 !== sha256 || actual.length !== length) {
    await deps.disk.removeTree(path)
    throw new CoreError(
      'unverified',
      `the uploaded bytes hash to ${actual.sha256}, expected ${sha256}: the upload starts again`,
      {
        reason: 'hash',
        expected: sha256,
        actual: actual.sha256,
      },
    )
  }
  const { etag } = await deps.blobs.put(repositoryKeys.artifact(sha256), deps.disk.readChunks(path), {
    length,
    sha256,
    immutable: false,
  })
  deps.checked.set(sha256, etag)
  await record(deps, actual, mutation)
  await deps.disk.removeTree(path)
  return actual
}

/** What lies there under another tag than the one that was hashed may have been damaged or put there since: it is hashed again, and what is wrong is not here. */
async function findArtifact(deps: UploadsDeps, sha256: string): Promise<StoredArtifact | undefined> {
  const key = repositoryKeys.artifact(sha256)
  const [row] = await deps.db.queries.select().from(artifacts).where(eq(artifacts.sha256, sha256))
  const stored = await deps.blobs.stat(key)
  if (!stored) return undefined
  if (row?.length === stored.size && deps.checked.get(sha256) === stored.etag) return row
  const object = await deps.blobs.open(key)
  if (!object) return undefined
  const actual = await digest(object.stream)
  if (actual.sha256 !== sha256) return undefined
  deps.checked.set(sha256, object.etag)
  await record(deps, actual, BY_SERVER)
  return actual
}

async function record(deps: UploadsDeps, artifact: StoredArtifact, mutation: Mutation): Promise<void> {
  await deps.db.transaction(async (tx) => {
    const fresh = await tx
      .insert(artifacts)
      .values({ ...artifact, storedAt: deps.clock.now() })
      .onConflictDoNothing()
      .returning({ sha256: artifacts.sha256 })
    if (fresh.length === 0) return
    await writeAudit(tx, deps.clock, mutation, {
      action: 'artifact.store',
      subject: artifact.sha256,
      after: { length: artifact.length },
    })
  })
}

async function digest(chunks: AsyncIterable<Uint8Array>): Promise<StoredArtifact> {
  const [sha256, sha512] = [createHash('sha256'), createHash('sha512')]
  let length = 0
  for await (const chunk of chunks) {
    sha256.update(chunk)
    sha512.update(chunk)
    length += chunk.length
  }
  return { sha256: sha256.digest('hex'), sha512: sha512.digest('hex'), length }
}

interface Spool {
  readonly path: string
  readonly sha256: string
  readonly length: number
  readonly received: number
  readonly modifiedMs: number
}

async function findSpool(deps: UploadsDeps, sha256: string): Promise<Spool | undefined> {
  return (await listSpool(deps)).find((spool) => spool.sha256 === sha256)
}

async function listSpool({ disk, spoolFolder }: UploadsDeps): Promise<Spool[]> {
  const entries = await disk.list(spoolFolder).catch((error) => {
    if (error instanceof PlatformError && error.code === 'not-found') return []
    throw error
  })
  const found: Spool[] = []
  for (const { name } of entries) {
    const [, sha256, length] = /^([0-9a-f]{64})\.(\d{1,15})$/.exec(name) ?? []
    if (sha256 === undefined) continue
    const path = join(spoolFolder, name)
    const facts = await disk.stat(path)
    found.push({ path, sha256, length: Number(length), received: facts.size, modifiedMs: facts.modifiedMs })
  }
  return found
}

function complete({ sha256, length }: StoredArtifact): UploadState {
  return { sha256, length, received: length, complete: true }
}

function parseSha256(text: string): string {
  const parsed = sha256Shape.safeParse(text)
  if (parsed.success) return parsed.data
  throw new CoreError('invalid', 'expected an artifact named by its SHA-256', {
    issues: [{ pointer: '/sha256', message: 'expected 64 lower-case hexadecimal digits' }],
  })
}

function parseLength(length: number): number {
  if (!Number.isInteger(length) || length < 1)
    throw new CoreError('invalid', `expected the length of the whole artifact, came ${length}`)
  if (length <= MAX_ARTIFACT_BYTES) return length
  throw new CoreError('too-large', `expected an artifact of at most ${MAX_ARTIFACT_BYTES} bytes, came ${length}`)
}

/** Two chunks of one artifact at once would be written into each other. */
function buildInOrder(): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return (name, work) => {
    const turn = (last.get(name) ?? Promise.resolve()).catch(() => {}).then(work)
    last.set(name, turn)
    const forget = () => {
      if (last.get(name) === turn) last.delete(name)
    }
    turn.then(forget, forget)
    return turn
  }
}
