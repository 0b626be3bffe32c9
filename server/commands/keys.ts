// `netlink-server keys …`: the server's own keys. Their secrets never leave the folder; their public halves go to the publisher in a file.
//
//   planned     rotate timestamp --out both.json      netlink-publish root rotate --online-keys both.json      … some days …
//               export --newest --out new.json        netlink-publish root rotate --online-keys new.json       prune
//   emergency   rotate timestamp --at-once --out new.json   netlink-publish root rotate --online-keys new.json   prune
import { addKey, openKeyring, removeKeys } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import { renderTable } from '../../schema/cli/table.ts'
import { loadConfig } from '../config.ts'
import type { OnlineKey, OnlineKeyRole } from '../core/online-keys.ts'
import { type Answer, type Machine, type SharedOptions, usage } from './context.ts'
import { askLocal } from './local.ts'

const ROLES: readonly OnlineKeyRole[] = ['timestamp', 'snapshot', 'director']

/** Every key of this server and what root says of it. */
export async function listKeys(machine: Machine, options: SharedOptions): Promise<Answer> {
  const { result: keys } = await askLocal(machine, options.dir, 'keys.list', {})
  const rows = keys.map(({ role, keyid, state }) => [role, keyid.slice(0, 16), STATES[state]])
  const columns = [{ title: 'role' }, { title: 'key' }, { title: 'state' }]
  return {
    schema: 'netlink.server.keys/v1',
    fields: { keys },
    text: renderTable(columns, rows, { color: machine.color, width: machine.columns }),
  }
}

const STATES: Readonly<Record<OnlineKey['state'], string>> = {
  waiting: 'waits: root does not name it yet',
  named: 'signs: root names it',
  retired: 'retired: root names it no longer',
}

export interface RotateOptions extends SharedOptions {
  readonly out?: string
  readonly atOnce?: boolean
}

/** Makes a new key for each of these roles and says what the publisher has to do with it. A key that waits already is not made again. */
export async function rotateKeys(machine: Machine, names: readonly string[], options: RotateOptions): Promise<Answer> {
  const roles = names.map(parseRole)
  const config = await loadConfig(machine.disk, options.dir, { environment: machine.environment })
  const { result: before, serving } = await askLocal(machine, options.dir, 'keys.list', {})
  const lacking = roles.filter((role) => !before.some((key) => key.role === role && key.state === 'waiting'))
  const deps = { disk: buildKeyFileDisk(machine.disk) }
  for (const role of lacking) {
    const { keys } = await openKeyring(deps, config.paths.onlineKeys, undefined)
    await addKey(deps, config.paths.onlineKeys, { name: freeName(keys, role), role }, undefined)
  }
  if (serving) await askLocal(machine, options.dir, 'keys.reload', {})
  const { result: keys } = await askLocal(machine, options.dir, 'keys.list', {})
  const chosen = chooseKeys(keys, options.atOnce ? 'newest' : 'all', roles)
  return answerExport(machine, options, chosen, keys)
}

function freeName(keys: readonly { readonly name: string }[], role: string): string {
  for (let number = keys.length; ; number++) {
    const name = `${role}-${number}`
    if (!keys.some((key) => key.name === name)) return name
  }
}

function parseRole(text: string): OnlineKeyRole {
  const role = ROLES.find((known) => known === text)
  if (role === undefined) throw usage(`${JSON.stringify(text)} is no role of a server`, `expected ${ROLES.join(', ')}`)
  return role
}

export interface ExportOptions extends SharedOptions {
  readonly out?: string
  readonly newest?: boolean
}

/** The public halves for `netlink-publish root rotate --online-keys`. */
export async function exportKeys(machine: Machine, options: ExportOptions): Promise<Answer> {
  const { result: keys } = await askLocal(machine, options.dir, 'keys.list', {})
  return answerExport(machine, options, chooseKeys(keys, options.newest ? 'newest' : 'all', ROLES), keys)
}

/** All keys that may sign, or for these roles the newest alone. */
function chooseKeys(
  keys: readonly OnlineKey[],
  which: 'all' | 'newest',
  roles: readonly OnlineKeyRole[],
): readonly OnlineKey[] {
  const usable = keys.filter(({ state }) => state !== 'retired')
  if (which === 'all') return usable
  return usable.filter(
    (key) => !roles.includes(key.role) || usable.findLast(({ role }) => role === key.role)?.keyid === key.keyid,
  )
}

async function answerExport(
  machine: Machine,
  options: { readonly dir: string; readonly out?: string },
  chosen: readonly OnlineKey[],
  keys: readonly OnlineKey[],
): Promise<Answer> {
  const objects = (role: OnlineKeyRole) => chosen.flatMap((one) => (one.role === role ? [one.key] : []))
  const director = objects('director')
  const online = {
    snapshot: objects('snapshot'),
    timestamp: objects('timestamp'),
    ...(director.length === 0 ? {} : { director }),
  }
  const text = `${JSON.stringify({ online_keys: online }, null, 1)}\n`
  if (options.out !== undefined) await replaceFile(machine.disk, options.out, Buffer.from(text), 0o644)
  const lines = chosen.map(({ role, keyid, state }) => `  ${role.padEnd(9)} ${keyid}  ${STATES[state]}`)
  const next = `netlink-publish root rotate --online-keys ${shellWord(options.out ?? 'FILE')}`
  return {
    schema: 'netlink.server.keys.export/v1',
    fields: { online_keys: online, out: options.out ?? null, keys, next: [next] },
    text: options.out === undefined ? text : `${options.out} names\n${lines.join('\n')}\nNext: ${next}\n`,
  }
}

/** Removes the secrets of keys that root names no longer. */
export async function pruneKeys(machine: Machine, options: SharedOptions): Promise<Answer> {
  const config = await loadConfig(machine.disk, options.dir, { environment: machine.environment })
  const { result: keys, serving } = await askLocal(machine, options.dir, 'keys.list', {})
  const retired = keys.filter(({ state }) => state === 'retired').map(({ keyid }) => keyid)
  if (retired.length > 0) {
    await removeKeys({ disk: buildKeyFileDisk(machine.disk) }, config.paths.onlineKeys, retired, undefined)
    if (serving) await askLocal(machine, options.dir, 'keys.reload', {})
  }
  const words =
    retired.length === 0 ? 'every key is one that root names or will name\n' : `removed: ${retired.join(', ')}\n`
  return { schema: 'netlink.server.keys.prune/v1', fields: { removed: retired }, text: words }
}
