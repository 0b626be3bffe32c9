// What an offline quorum signs so that named hosts may be sent down from afar, once: bound to hosts, to both releases by their manifests' hashes, and to a
// week at most. Signed with the keys of the channel that lists `to`, in the envelope of TUF metadata; the server only carries it.
import { z } from 'zod'
import { productShape, sha256Shape } from './manifest.ts'
import { expiresShape } from './metadata.ts'
import { hostIdShape } from './rest.ts'
import { compareVersions, versionShape } from './version.ts'

/** Longest authorisation in bytes. */
export const MAX_AUTHORIZATION_BYTES = 32_768
/** An authorisation is good for so long at most. */
export const MAX_AUTHORIZATION_MS = 7 * 86_400_000

const release = z.looseObject({ version: versionShape, manifest_sha256: sha256Shape })

/** The signed part. */
export const downgradeAuthorizationShape = z
  .looseObject({
    _type: z.literal('downgrade-authorization'),
    schema: z.literal('netlink.downgrade-authorization/v1'),
    product: productShape,
    hosts: z.array(hostIdShape).min(1).max(200),
    from: release,
    to: release,
    reason: z.string().min(1).max(2000),
    not_before: expiresShape,
    expires: expiresShape,
    /** Every host obeys it once. */
    nonce: z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 lower-case hexadecimal digits'),
  })
  .refine(({ from, to }) => compareVersions(to.version, from.version) < 0, 'expected to below from')
  .refine(({ not_before, expires }) => not_before < expires, 'expected expires after not_before')
  .refine(
    ({ not_before, expires }) => expires.getTime() - not_before.getTime() <= MAX_AUTHORIZATION_MS,
    'expected at most 7 days from not_before to expires',
  )
export type DowngradeAuthorization = z.infer<typeof downgradeAuthorizationShape>
