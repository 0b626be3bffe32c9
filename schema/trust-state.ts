// Local files: how far a host has come, the roots that it trusted, and a holder's keys. Nothing here is signed; both are read by the program that wrote them.
import { z } from 'zod'

const version = z.int().min(0)
const keyids = z.array(z.string())

/** `floors.state`: the rollback floors of one trust store. */
export const floorsShape = z.object({
  schema: z.literal('netlink.floors/v1'),
  root: version,
  timestamp: z.object({ version, keyids, announced: version, announced_keyids: keyids }).nullable(),
  snapshot: z.object({ version, keyids, roles: z.array(z.object({ file: z.string(), version })) }).nullable(),
})

const hex32 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits')

/** A key's name: what people call it on a command line. */
export const keyNameShape = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected 1 to 64 of letters, digits, ".", "_" and "-"')

/** The content of a keyring file, inside its encryption. */
export const keyringShape = z.object({
  schema: z.literal('netlink.keyring/v1'),
  holder: keyNameShape,
  keys: z
    .array(
      z.object({
        name: keyNameShape,
        role: z.string().min(1).max(64),
        keytype: z.literal('ed25519'),
        scheme: z.literal('ed25519'),
        public: hex32,
        secret: hex32,
      }),
    )
    .max(256),
})
export type StoredKeyring = z.infer<typeof keyringShape>

/** `roots.state`: every root that a host ever trusted in one trust store, oldest first. */
export const knownRootsShape = z.object({
  schema: z.literal('netlink.known-roots/v1'),
  roots: z.array(z.object({ version: z.int().min(1), sha256: hex32 })),
})
export type KnownRoots = z.infer<typeof knownRootsShape>
