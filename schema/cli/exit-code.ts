/** What a command's exit status means. The numbers are fixed: scripts hold on to them. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  refused: 3,
  unconfirmed: 4,
  forbidden: 5,
  unreachable: 6,
  unverified: 7,
  pending: 8,
  rolledBack: 10,
  rollbackFailed: 11,
  locked: 12,
  updateAvailable: 100,
  interrupted: 130,
  terminated: 143,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
