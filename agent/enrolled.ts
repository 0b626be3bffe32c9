// The enrolment of this host: as it is written, and as whoever talks to the server needs it.
import { PlatformError } from '../keys/platform/platform-error.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure, type FailureFacts } from '../schema/cli/failure.ts'
import { type Enrolment, MAX_CA_BYTES, parseEnrolment } from './enrolment.ts'
import type { Machine } from './machine.ts'
import { requirePrivateFile } from './private-state.ts'
import { enrolAgain } from './standing.ts'
import { loadState } from './state-file.ts'

type Place = Pick<Machine, 'disk' | 'files'>

/** As it is written; undefined if this host was never enrolled. Throws ShapeError. */
export async function loadEnrolment({ disk, files }: Place): Promise<Enrolment | undefined> {
  const value = await loadState(disk, files.enrolment)
  return value === undefined ? undefined : parseEnrolment(value, files.enrolment)
}

/**
 * The same with the server's own authority in `ca`, wherever it lies; whoever writes this enrolment again puts it into `agent.json`. Throws Failure where that
 * authority is gone, and E-NOT-PERMITTED where its file is open to others. Enrolling anew must not come through here: it is the way out.
 */
export async function openEnrolment(place: Place): Promise<Enrolment | undefined> {
  const enrolment = await loadEnrolment(place)
  if (!enrolment) return undefined
  const { has_ca: isBeside, ...rest } = enrolment
  return isBeside ? { ...rest, ca: await loadAuthority(place, enrolment.server) } : enrolment
}

/** What an earlier build wrote beside `agent.json`. */
async function loadAuthority({ disk, files }: Place, server: string): Promise<string> {
  try {
    await requirePrivateFile(disk, files.ca)
    return Buffer.from(await disk.readFile(files.ca, MAX_CA_BYTES)).toString('latin1')
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error
    const anew = `${enrolAgain(server)} --ca FILE`
    if (error.code === 'not-found')
      throw unusable(error, {
        code: 'E-NOT-FOUND',
        exit: EXIT.usage,
        title: `${files.ca} is gone`,
        next: [`put it back with mode 600, or: ${anew}`],
      })
    if (error.code === 'too-large')
      throw unusable(error, {
        code: 'E-TOO-LARGE',
        exit: EXIT.unverified,
        title: `${files.ca} is too long`,
        next: [anew],
      })
    throw error
  }
}

function unusable(cause: PlatformError, facts: Omit<FailureFacts, 'detail' | 'state'>): Failure {
  const detail = `This host was enrolled with a certificate authority of the server's own (--ca), which an earlier version kept there: ${cause.message}.`
  return new Failure({ ...facts, detail, state: 'Nothing was changed, and the server was not asked.' }, { cause })
}
