// netlink agent config show | set NAME VALUE | validate
import { dirname } from 'node:path'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { renderFields } from '../../schema/cli/table.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import { loadEnrolment } from '../enrolled.ts'
import { configFileOf, loadConfig, loadConfigText } from '../host.ts'
import { requireWrite } from '../rights.ts'
import { editUpdateYml, listSettings, writtenSetting } from '../update-yml.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly verb?: string
  readonly name?: string
  readonly value?: string
}

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  switch (options.verb ?? 'show') {
    case 'show':
      return show(context)
    case 'set':
      return set(context, options)
    case 'validate':
      return validate(context)
    default:
      throw new ShapeError('config', [
        { pointer: '', message: `expected show, set or validate, found ${JSON.stringify(options.verb)}` },
      ])
  }
}

async function show({ machine, output }: CommandContext): Promise<ExitCode> {
  await loadConfig(machine) // a file that is wrong is said to be wrong before anything of it is shown
  const text = await loadConfigText(machine)
  const enrolment = await loadEnrolment(machine)
  const settings = listSettings().map(([name, fallback]) => ({
    name,
    value: writtenSetting(text, name) ?? fallback,
    is_default: writtenSetting(text, name) === undefined,
  }))
  const file = configFileOf(machine)
  output.document('netlink.agent.config/v1', {
    file,
    settings,
    enrolment: enrolment ?? null,
    root: machine.paths.root,
    state: machine.paths.state,
  })
  const host: [string, string][] = enrolment
    ? [
        ['server', enrolment.server],
        ['host', `${enrolment.name} (${enrolment.host_id})`],
        ['channel', enrolment.channel],
        ['service control', enrolment.service.control],
      ]
    : [['server', 'not enrolled']]
  const fields: [string, string][] = settings.map(({ name, value, is_default }) => [
    name,
    `${String(value)}${is_default ? '  (default)' : ''}`,
  ])
  output.print(
    renderFields(
      [['file', file], ['root', machine.paths.root], ['state', machine.paths.state], ...host, ...fields],
      output,
    ),
  )
  return EXIT.ok
}

async function set({ machine, output }: CommandContext, { name, value }: Options): Promise<ExitCode> {
  if (name === undefined || value === undefined) {
    throw new ShapeError('config set', [
      { pointer: '', message: 'expected a name and a value, as in: config set automatic.mode auto' },
    ])
  }
  await requireWrite(machine)
  const file = configFileOf(machine)
  const edited = editUpdateYml(await loadConfigText(machine), name, value)
  await makeDirDurable(machine.disk, dirname(file), 0o755)
  await replaceFile(machine.disk, file, Buffer.from(edited), 0o644)
  await nudgeDaemon(machine)
  output.document('netlink.agent.config/v1', { file, name, value })
  output.print(`${name} is ${value} from now on`)
  return EXIT.ok
}

async function validate({ machine, output }: CommandContext): Promise<ExitCode> {
  await loadConfig(machine)
  const file = configFileOf(machine)
  output.document('netlink.agent.config/v1', { file, valid: true })
  output.print(`${file} is good`)
  return EXIT.ok
}
