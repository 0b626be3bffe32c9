/** How much one refresh puts up with. Sizes in bytes. */
export interface Limits {
  readonly rootBytes: number
  readonly timestampBytes: number
  readonly snapshotBytes: number
  readonly targetsBytes: number
  /** New roots in one refresh. */
  readonly roots: number
  /** Targets roles visited in one search. */
  readonly roles: number
}

export const DEFAULT_LIMITS: Limits = {
  rootBytes: 512_000,
  timestampBytes: 16_384,
  snapshotBytes: 2_000_000,
  targetsBytes: 5_000_000,
  roots: 256,
  roles: 32,
}
