import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { signDocument } from '../../keys/document.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { downgradeAuthorizationShape, MAX_AUTHORIZATION_MS } from '../../schema/downgrade-authorization.ts'
import { parseDuration } from '../../schema/duration.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { hostIdShape } from '../../schema/rest.ts'
import { channelOf, type Version } from '../../schema/version.ts'
import { addHolders, buildAuthorization } from '../authorization/authorization.ts'
import { PublishError } from '../publish-error.ts'
import { type SignerOptions, type Workshop, withLockedWorkshop } from '../workshop.ts'
import {
  type CommandContext,
  collect,
  type SharedOptions,
  versionArgument,
  withShared,
  withSigners,
} from './context.ts'
import { downgradeHolders, keepDowngrade } from './downgrade-outcome.ts'

interface AuthorizeOptions extends SharedOptions, SignerOptions {
  readonly host: readonly string[]
  readonly from: Version
  readonly to: Version
  readonly reason: string
  readonly expires: string
  readonly out: string
  readonly offline?: boolean
}

/** A host's clock may stand behind this one. */
const SKEW_MS = 300_000

/** Adds `authorize-downgrade`. */
export function addAuthorizeDowngrade(program: Command, context: CommandContext): void {
  const host = new Option('--host <id>', 'a host that may go down, by its id; repeat for several').argParser(collect)
  withSigners(withShared(program.command('authorize-downgrade')))
    .description('sign that named hosts may be sent down from one version to another, once')
    .addOption(host.makeOptionMandatory())
    .requiredOption('--from <version>', 'what they run', versionArgument)
    .requiredOption('--to <version>', 'where they may go', versionArgument)
    .requiredOption('--reason <words>', 'why; hosts keep it')
    .option('--expires <duration>', 'for how long it is good, 7d at most', '7d')
    .requiredOption('--out <file>', 'where the signed authorisation goes')
    .option('--offline', 'from what was verified here before, without a network')
    .action((options: AuthorizeOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish authorize-downgrade', (workshop) =>
          authorize(workshop, options),
        ),
      ),
    )
}

async function authorize(workshop: Workshop, options: AuthorizeOptions): Promise<void> {
  const { machine, config } = workshop
  const times = decideTimes(machine.clock.now(), checkOptions(options))
  const repository = options.offline ? await workshop.offline() : await workshop.refresh()
  const { host: hosts, from, to, reason } = options
  const choice = { hosts, from, to, reason, nonce: randomBytes(16).toString('hex'), ...times }
  const signed = await buildAuthorization(repository, config.product, choice)
  const value = parseShape(downgradeAuthorizationShape, signed, 'the authorisation')
  const holders = await downgradeHolders(workshop, repository)
  const keyrings = await workshop.openKeyrings(options, holders)
  const bytes = await addHolders(
    await signDocument(signed, []),
    roleKeysOf(repository.targets, channelOf(to)),
    keyrings,
  )
  const saved = { file: resolve(machine.cwd, options.out), before: undefined, bytes }
  await keepDowngrade(workshop, repository, { value, saved, name: options.out, holders })
}

/** Good from a little before now on, and never for longer than hosts take it. */
function decideTimes(now: Date, lifetimeMs: number): { readonly notBefore: Date; readonly expires: Date } {
  const notBefore = now.getTime() - SKEW_MS
  const expires = Math.min(now.getTime() + lifetimeMs, notBefore + MAX_AUTHORIZATION_MS)
  return { notBefore: new Date(notBefore), expires: new Date(expires) }
}

function checkOptions({ host, reason, expires }: AuthorizeOptions): number {
  const stranger = host.find((id) => !hostIdShape.safeParse(id).success)
  if (stranger !== undefined)
    throw new PublishError('usage', `${JSON.stringify(stranger)} is no host id: expected h_ and 32 digits`, {
      state: 'Nothing was written.',
      next: ['netlink-admin hosts list'],
    })
  if (host.length > 200) throw new PublishError('usage', `at most 200 hosts, not ${host.length}`, NOTHING)
  if (reason.trim() === '') throw new PublishError('usage', '--reason is empty: hosts keep it', NOTHING)
  if (reason.trim().length > 2000)
    throw new PublishError('usage', `--reason takes 2000 characters, not ${reason.trim().length}`, NOTHING)
  const lifetimeMs = parseDuration(expires)
  if (lifetimeMs > 0 && lifetimeMs <= MAX_AUTHORIZATION_MS) return lifetimeMs
  throw new PublishError('usage', `--expires takes up to 7d, not ${expires}`, NOTHING)
}

const NOTHING = { state: 'Nothing was written.' }
