// A plan is what one update is going to do: the same object is shown by --dry-run, asked about, executed, and read again after a crash.
// It is written before the first journal record and never changes. Recovery needs nothing besides it, the journal and `current`.
import { z } from 'zod'
import { attemptKindShape, updateIdShape } from '../../schema/attempt.ts'
import {
  artifactShape,
  manifestShape,
  productShape,
  serviceShape,
  sha256Shape,
  timeShape,
} from '../../schema/manifest.ts'
import { versionShape } from '../../schema/version.ts'

/** Forward steps in the order in which they happen; a rollback to a generation that is there has no download, verify, unpack and stage. */
export const forwardSteps = [
  'preflight', // space, requirements, the plan still fits the host
  'download',
  'verify', // length and hashes of the whole archive
  'unpack', // into staging, hashed while written
  'stage', // into the store, and a new generation beside the running one
  'check', // the tree that will run, against its signed digest
  'baseline', // how healthy the running version is
  'stop',
  'switch', // the flip
  'start',
  'ready', // every required check healthy within ready_ms
  'self_test',
  'stability', // and healthy for stability_ms
  'commit', // version.json, floor, history
  'collect', // old generations and trees
] as const
export type ForwardStep = (typeof forwardSteps)[number]

/** The way back after a failure past the first of `stop` and `switch`. */
export const backwardSteps = ['back_stop', 'back_switch', 'back_start', 'back_prove', 'back_record'] as const
export type BackwardStep = (typeof backwardSteps)[number]

export type StepName = ForwardStep | BackwardStep
export const stepNameShape = z.enum([...forwardSteps, ...backwardSteps])

/** One line of the plan. `bytes` is what will be moved or written, where that is known; `ms` the longest that it may take, where that is bounded. */
export const planStepShape = z.strictObject({
  step: z.enum(forwardSteps),
  words: z.string(),
  bytes: z.int().min(0).nullable(),
  ms: z.int().min(0).nullable(),
})
export type PlanStep = z.infer<typeof planStepShape>

/** A release that lies on this host as a generation. `generation.json` holds exactly this. */
export const generationShape = z.strictObject({
  schema: z.literal('netlink.generation/v1'),
  number: z.int().min(1),
  update_id: updateIdShape,
  product: productShape,
  version: versionShape,
  channel: z.string(),
  released_at: timeShape,
  /** When this generation was laid out; when it first ran is in version.json. */
  created_at: timeShape,
  manifest_sha256: sha256Shape,
  artifact_sha256: sha256Shape,
  tree_sha256: sha256Shape,
  /** Folder name below `store/`. */
  tree: z.string().regex(/^[0-9A-Za-z.+-]+$/),
  database_version: z.string().nullable(),
  config_version: z.string().nullable(),
  /** Digests of dependency locks, by package manager. */
  lock_digests: z.record(z.string(), sha256Shape),
  service: serviceShape.nullable(),
  restart_units: manifestShape.shape.restart_units,
})
export type Generation = z.infer<typeof generationShape>

export const planShape = z.strictObject({
  schema: z.literal('netlink.plan/v1'),
  update_id: updateIdShape,
  kind: attemptKindShape,
  created_at: timeShape,
  product: productShape,
  /** What runs now, as its generation.json says; null before the first installation. Its `service` is how to start the old version again. */
  from: generationShape.nullable(),
  to: versionShape,
  /** SHA-256 of the manifest's bytes as they were signed, and the whole manifest. */
  manifest_sha256: sha256Shape,
  manifest: manifestShape,
  /** The artifact of this host's platform. */
  artifact: artifactShape,
  /** Number to make, or the generation to return to. */
  generation: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('new'), number: z.int().min(1) }),
    z.strictObject({ kind: z.literal('return'), number: z.int().min(1) }),
  ]),
  steps: z.array(planStepShape),
  /** What is kept instead of what an engine that is not there yet would do: whole sentences for people. */
  kept: z.array(z.string()),
  /** Whoever named the version knows that it failed here before. */
  quarantine_accepted: z.boolean().default(false),
  /** Whether a failed update goes back by itself (`safety.rollback_on_failure`). */
  rollback_on_failure: z.boolean().default(true),
  /** Whether self-tests run (`safety.test_after_update`). */
  self_tests: z.boolean().default(true),
})

/** Immutable once written. */
export type Plan = Readonly<z.infer<typeof planShape>>
