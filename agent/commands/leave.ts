// netlink agent leave: this host forgets its server. What is installed stays and goes on running. What it learnt about whom to believe is put aside, so that
// whoever enrols it again does not begin with keys that were taken back since.
import { removeDurable } from '../../keys/platform/durable.ts'
import { acquireLock, type Lock } from '../../keys/platform/lock.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import { openHost } from '../host.ts'
import type { Machine } from '../machine.ts'
import { requireWrite } from '../rights.ts'
import { putTrustAside } from '../trust-folder.ts'
import { finishReset, foldersOf } from '../trust-reset.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly yes?: boolean
}

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  await requireWrite(machine)
  const { enrolment } = await openHost(machine)
  if (!options.yes) {
    const answer = await output.ask(`Forget ${enrolment.server} and this host's key? (y/N) `)
    if (answer === null) throw unconfirmed()
    if (!/^y(es)?$/i.test(answer.trim())) {
      output.note('Nothing was changed.')
      return EXIT.unconfirmed
    }
  }
  await leave(machine)
  // A daemon that runs notices by itself within a second or two; this is sooner.
  await nudgeDaemon(machine)
  output.document('netlink.agent.leave/v1', { host_id: enrolment.host_id, left: enrolment.server })
  output.say(`left ${enrolment.server}; what is installed stays, and what was trusted of ${enrolment.product}`)
  output.say(
    `The server is not told: what it has of this host stays there, its name too, until somebody says\n  netlink-admin hosts forget ${enrolment.name}`,
  )
  return EXIT.ok
}

/** A look that is going on may wait for a slow server. */
const LOCK_WAIT_MS = 60_000

/** All of it or nothing: whoever looks or reports at this moment comes to an end first, and finds that there is nothing to go on with. */
async function leave(machine: Machine): Promise<void> {
  const { disk, files, paths, owner, clock } = machine
  const held: Lock[] = []
  try {
    for (const path of [`${paths.locks}/enrol`, `${paths.locks}/trust`, `${paths.locks}/assignment`, files.outboxLock])
      held.push(await acquireLock(path, { owner, clock, waitMs: LOCK_WAIT_MS }))
    await finishReset(machine)
    // The file that makes the host enrolled goes first, and then its key: cut off anywhere after that, what is left is harmless.
    for (const path of [
      files.enrolment,
      files.key,
      files.ca,
      files.standing,
      files.check,
      files.offers,
      files.brake,
      files.assignmentOffered,
      // Authorisations that were used here name the host by its key: with that they are worth nothing.
      files.assignment,
      files.outbox,
      foldersOf(paths).preparing,
    ])
      await removeDurable(disk, path)
    await putTrustAside(machine, undefined)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'locked') throw busy(error)
    throw error
  } finally {
    for (const lock of held) await lock.release()
  }
}

function busy(cause: PlatformError): Failure {
  return new Failure(
    {
      code: 'E-LOCKED',
      exit: EXIT.locked,
      title: 'this host is looking for releases, reporting or being enrolled right now',
      detail: cause.message,
      state: 'Nothing was changed; this host is still enrolled.',
      next: ['netlink agent leave'],
    },
    { cause },
  )
}

function unconfirmed(): Failure {
  return new Failure({
    code: 'E-UNCONFIRMED',
    exit: EXIT.unconfirmed,
    title: 'this has to be confirmed, and nobody is there to ask',
    detail: 'There is no terminal, and --yes was not given.',
    state: 'Nothing was changed.',
    next: ['netlink agent leave --yes'],
  })
}
