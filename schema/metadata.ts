// The signed part of each role's metadata (TUF 1.0.34 section 4), as far as a shape can say it. Signatures are checked over the raw document
// before any of these shapes reads it. Dictionaries become Maps, `expires` becomes a Date; unknown fields were signed too and are kept.
//
//   root        who may sign for the four top-level roles        ours: + product
//   timestamp   the current snapshot
//   snapshot    the current version of every targets role
//   targets     files with length and hashes, and delegations    channel roles: + channel, and custom facts on every manifest
import { z } from 'zod'
import { dictionaryShape, rawObjectShape } from './dictionary.ts'
import { platformShape, productShape, timeShape } from './manifest.ts'
import { manifestPath } from './release-path.ts'
import { keyNameShape } from './trust-state.ts'
import { channelOf, channelShape, versionShape } from './version.ts'

/** The roles that every repository has. No delegated role may take one of these names. */
export const topLevelRoles = ['root', 'timestamp', 'snapshot', 'targets'] as const

/** `YYYY-MM-DDTHH:MM:SSZ` and nothing else, on a day that exists. Read into a Date. Aborts: a rule over a whole document gets Dates or is not asked. */
export const expiresShape = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, {
    error: 'expected a UTC time such as 2026-11-23T10:00:00Z',
    abort: true,
  })
  .refine(isRealTime, { error: 'expected a date that exists', abort: true })
  .transform((text) => new Date(text))

const versionNumber = z.int().min(1)
const length = z.int().min(0)

/** Two or three numeric components, the first of which is 1. */
const specVersionShape = z
  .string()
  .regex(/^1\.(0|[1-9]\d*)(\.(0|[1-9]\d*))?$/, 'expected a TUF specification version 1.x')

const common = {
  spec_version: specVersionShape,
  version: versionNumber,
  expires: expiresShape,
}

const SHA_DIGITS = new Map([
  ['sha256', 64],
  ['sha512', 128],
])

/** At least one digest; those of an algorithm we know must look like one. */
export const hashesShape = dictionaryShape(z.string().min(1))
  .refine((hashes) => hashes.size > 0, 'expected at least one hash')
  .refine(
    (hashes) => [...hashes].every(([algorithm, digest]) => isDigest(algorithm, digest)),
    'expected lower-case hexadecimal digits',
  )

/** People's names by key id, for people: nothing is decided by them, and they are printed. */
const keyNamesShape = dictionaryShape(keyNameShape)

const roleShape = z.looseObject({
  keyids: z.array(z.string()).refine(areUnique, 'expected every key id once'),
  threshold: z.int().min(1),
})

export const rootShape = z.looseObject({
  _type: z.literal('root'),
  ...common,
  consistent_snapshot: z.boolean().default(false),
  /** Key objects stay raw: a key's id is the hash of all its fields. */
  keys: dictionaryShape(rawObjectShape),
  roles: dictionaryShape(roleShape).refine(
    (roles) => topLevelRoles.every((name) => roles.has(name)),
    'expected the roles root, timestamp, snapshot and targets',
  ),
  /** The one product of this repository. Absent in other people's repositories. */
  product: productShape.optional(),
  key_names: keyNamesShape.optional(),
})
export type Root = z.infer<typeof rootShape>

const metaFileShape = z.looseObject({
  version: versionNumber,
  length: length.optional(),
  hashes: hashesShape.optional(),
})
/** What one role says about another role's file: its version, perhaps its length in bytes and its hashes. */
export type MetaFile = z.infer<typeof metaFileShape>

export const timestampShape = z.looseObject({
  _type: z.literal('timestamp'),
  ...common,
  meta: dictionaryShape(metaFileShape).refine(
    (meta) => meta.size === 1 && meta.has('snapshot.json'),
    'expected snapshot.json and nothing else',
  ),
})
export type Timestamp = z.infer<typeof timestampShape>

export const snapshotShape = z.looseObject({
  _type: z.literal('snapshot'),
  ...common,
  meta: dictionaryShape(metaFileShape).refine((meta) => meta.has('targets.json'), 'expected targets.json'),
})
export type Snapshot = z.infer<typeof snapshotShape>

const targetFileShape = z.looseObject({ length, hashes: hashesShape, custom: rawObjectShape.optional() })
/** What a targets role says about one file. Length in bytes. */
export type TargetFile = z.infer<typeof targetFileShape>

const delegatedRoleShape = z
  .looseObject({
    name: z
      .string()
      .min(1)
      .refine((name) => !topLevelRoles.some((taken) => taken === name), 'expected a name that is not a top-level role'),
    keyids: z.array(z.string()).refine(areUnique, 'expected every key id once'),
    threshold: z.int().min(1),
    /** The specification's own example leaves it out. */
    terminating: z.boolean().default(false),
    paths: z.array(z.string()).optional(),
    path_hash_prefixes: z
      .array(z.string().regex(/^[0-9a-f]{1,64}$/, 'expected 1 to 64 lower-case hexadecimal digits'))
      .optional(),
  })
  .refine(
    (role) => (role.paths === undefined) !== (role.path_hash_prefixes === undefined),
    'expected one of paths and path_hash_prefixes',
  )
export type DelegatedRole = z.infer<typeof delegatedRoleShape>

const delegationsShape = z.looseObject({
  keys: dictionaryShape(rawObjectShape),
  roles: z
    .array(delegatedRoleShape)
    .refine((roles) => areUnique(roles.map((role) => role.name)), 'expected every role name once'),
})

export const targetsShape = z.looseObject({
  _type: z.literal('targets'),
  ...common,
  targets: dictionaryShape(targetFileShape),
  delegations: delegationsShape.optional(),
  key_names: keyNamesShape.optional(),
})
export type Targets = z.infer<typeof targetsShape>

const reason = z.string().min(1).max(4096)

/** What a channel role says beyond its list of manifests: what an agent must know of every version, the old ones included. */
export const channelFactsShape = z.looseObject({
  name: channelShape,
  /** A host without a floor of its own refuses anything below. */
  minimum: versionShape.nullable(),
  withdrawn: z.array(
    z.looseObject({
      version: versionShape,
      reason,
      severity: z.enum(['low', 'high', 'critical']),
      replace_with: versionShape.nullable(),
      at: timeShape,
    }),
  ),
  barriers: z.array(z.looseObject({ version: versionShape, reason })),
  dead_ends: z.array(z.looseObject({ version: versionShape, reason })),
})

/** What a channel role says about one manifest, so that hosts can decide before they load it. */
export const manifestCustomShape = z.looseObject({
  version: versionShape,
  platforms: z.array(platformShape).min(1).max(64),
  released_at: timeShape,
})
export type ManifestCustom = z.infer<typeof manifestCustomShape>

/** The targets metadata of `alpha`, `beta` or `release`. Every target is a manifest of this channel and lies at its own version's path; every remark is about one. */
export const channelRoleShape = z
  .looseObject({
    _type: z.literal('targets'),
    ...common,
    targets: dictionaryShape(z.looseObject({ length, hashes: hashesShape, custom: manifestCustomShape })),
    delegations: delegationsShape.optional(),
    channel: channelFactsShape,
  })
  .superRefine((role, context) => {
    const { name } = role.channel
    for (const [path, { custom }] of role.targets) {
      if (path === manifestPath(custom.version) && channelOf(custom.version) === name) continue
      const message = `expected the path of a version of ${name}, and ${custom.version} in custom`
      context.addIssue({ code: 'custom', path: ['targets', path], message })
    }
    // Whoever signs for one channel says nothing about the releases of another.
    for (const list of ['withdrawn', 'barriers', 'dead_ends'] as const) {
      for (const [index, { version }] of role.channel[list].entries()) {
        if (channelOf(version) === name) continue
        const message = `expected a version of ${name}, found ${version}`
        context.addIssue({ code: 'custom', path: ['channel', list, index, 'version'], message })
      }
    }
  })
export type ChannelRole = z.infer<typeof channelRoleShape>

function isDigest(algorithm: string, digest: string): boolean {
  const digits = SHA_DIGITS.get(algorithm)
  return digits === undefined || (digest.length === digits && /^[0-9a-f]*$/.test(digest))
}

function areUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length
}

function isRealTime(text: string): boolean {
  const time = new Date(text)
  return !Number.isNaN(time.getTime()) && time.toISOString() === text.replace('Z', '.000Z')
}
