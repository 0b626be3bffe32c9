// `sign FILE` for an authorisation to send hosts down: looked at, made again from what this machine trusts, shown, answered, and only then signed.
import { resolve } from 'node:path'
import { parseDocument } from '../../keys/document.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { channelOf } from '../../schema/version.ts'
import { addHolders, type BroughtAuthorization, checkAuthorization, keepGood } from '../authorization/authorization.ts'
import { askToAuthorize } from '../authorization/consent.ts'
import type { ConsentOptions } from '../event/consent.ts'
import { keyNamer } from '../holder-names.ts'
import { standingOf } from '../signing.ts'
import type { Workshop } from '../workshop.ts'
import { requireWritable } from '../written-file.ts'
import { downgradeHolders, keepDowngrade } from './downgrade-outcome.ts'

interface SignDowngradeOptions extends ConsentOptions {
  readonly out?: string
  readonly offline?: boolean
}

/** Signs what somebody brought, in its place or into `--out`. Throws as checkAuthorization, askToAuthorize and keepDowngrade. */
export async function signDowngrade(
  workshop: Workshop,
  brought: BroughtAuthorization,
  options: SignDowngradeOptions,
): Promise<void> {
  const { machine, config, output } = workshop
  if (!options.offline) output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = options.offline ? await workshop.offline() : await workshop.refresh()
  const checked = await checkAuthorization(repository, config.product, brought, machine.clock.now())
  const keys = roleKeysOf(repository.targets, channelOf(checked.value.to.version))
  const good = await keepGood(checked, keys)
  const holders = await downgradeHolders(workshop, repository)
  const nameOf = keyNamer(holders, [{ root: repository.trusted.root.signed, targets: repository.targets.signed }])
  const standing = standingOf(parseDocument(good.bytes), keys, holders)
  const name = options.out ?? brought.name
  const file = resolve(machine.cwd, name)
  await workshop.requireSigners(options, holders)
  await requireWritable(machine.disk, file)
  await askToAuthorize(workshop, repository, { checked, standing, dropped: good.dropped.map(nameOf) }, options)
  const bytes = await addHolders(good.bytes, keys, await workshop.openKeyrings(options, holders))
  const before = file === resolve(machine.cwd, brought.name) ? brought.bytes : undefined
  await keepDowngrade(workshop, repository, { value: checked.value, saved: { file, before, bytes }, name, holders })
}
