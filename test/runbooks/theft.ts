// What a thief does with keys that were the server's.
import { join } from 'node:path'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import type { Signer } from '../../keys/signer.ts'

/** The keys that lie in a server's folder. */
export async function onlineSigners(folder: string): Promise<Record<'timestamp' | 'snapshot', readonly Signer[]>> {
  const file = join(folder, 'srv', 'secrets', 'online.keys')
  const keyring = await openKeyring({ disk: buildKeyFileDisk(nodeDisk) }, file, undefined)
  return { timestamp: keyring.signersFor('timestamp'), snapshot: keyring.signersFor('snapshot') }
}

/** Where a published file lies when the server keeps its blobs as files. */
export function published(folder: string, name: string): string {
  return join(folder, 'srv', 'storage', 'repo', 'metadata', name)
}

/** The document with these fields changed, signed by these keys. */
export async function resign(bytes: Uint8Array, changes: object, signers: readonly Signer[]): Promise<Uint8Array> {
  const { signed } = parseDocument(bytes)
  return signDocument(JSON.parse(JSON.stringify({ ...signed, ...changes })), signers)
}
