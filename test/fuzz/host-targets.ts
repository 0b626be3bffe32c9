// Files that a host wrote itself and reads again: after a crash, on a disk that lost something, under another version of the agent. What is read and
// written again reads the same. The disk lies in memory; locks are real, so nothing here goes through one.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { loadOffered } from '../../agent/assignment-source.ts'
import { loadAssignmentState } from '../../agent/assignment-state.ts'
import { loadBrake, saveBrake } from '../../agent/brake.ts'
import { agentFilesOf } from '../../agent/config.ts'
import { parseJsonFile } from '../../agent/engine/layout.ts'
import { generationShape, planShape } from '../../agent/engine/plan.ts'
import { addQuarantine, findQuarantine, loadQuarantine } from '../../agent/engine/quarantine.ts'
import { loadEnrolment } from '../../agent/enrolled.ts'
import { partiesOf } from '../../agent/enrolment.ts'
import { loadUpdate } from '../../agent/history.ts'
import { loadCheck, loadHold, loadOffers, saveCheck } from '../../agent/host-state.ts'
import { buildPaths, updateFiles } from '../../agent/paths.ts'
import { buildOutbox, OutboxTaken } from '../../agent/report/outbox.ts'
import { loadProcessRecord, saveProcessRecord } from '../../agent/service/process-record.ts'
import { parseUnitFacts } from '../../agent/service/systemctl.ts'
import { lastLines } from '../../agent/service/tail.ts'
import { loadForgotten } from '../../agent/standing.ts'
import { saveState } from '../../agent/state-file.ts'
import { buildHostTrustStore, loadKnownRoots } from '../../agent/trust-folder.ts'
import { FloorMissing, loadFloor, loadVersionRecord, raiseFloor, recordInstalled } from '../../agent/version-record.ts'
import { buildFileTrustStore, FLOORS_FILE } from '../../keys/file-trust-store.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { readHolder } from '../../keys/platform/lock.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { findSocketPath } from '../../keys/platform/private-dir.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { compareVersions, parseVersion } from '../../schema/version.ts'
import { createSimDisk, type SimDisk } from '../sim/disk.ts'
import { ROOT, signed } from './known-key.ts'
import { askLocalApi } from './local-request.ts'
import { same, type Target, textOf } from './target.ts'

const paths = buildPaths({ home: '/host' })
const files = agentFilesOf(paths)
export const WHO = {
  host_id: `h_${'ab'.repeat(16)}`,
  server: 'https://updates.example.com',
  enrolled_at: '2026-11-23T10:00:00Z',
}
const parties = partiesOf(WHO)
/** Of the plan that is read in the folder of its update. */
const UPDATE_ID = 'update_0a1_0a2_20261123_100000'
const AT = '2026-11-23T10:00:00Z'
const INSTALLED = parseVersion('0a2')

interface HostFile {
  readonly name: string
  readonly file: string
  readonly tokens: readonly string[]
  readonly refusals?: Target['refusals']
  readonly read: (disk: SimDisk) => Promise<unknown>
}

/** One JSON file, alone on its disk. Without refusals it is never refused: what can't be read counts as what its reader says. */
function hostFile({ name, file, tokens, refusals = [], read }: HostFile): Target {
  return {
    name,
    form: 'json',
    tokens,
    refusals,
    read: async (input) => read(createSimDisk({ files: { [file]: input, '/host/state/anything': '' } })),
  }
}

function sameTree(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) same(what, JSON.stringify(actual), JSON.stringify(expected))
}

/** Files of a host, and what the machine around it says. */
export const hostTargets: readonly Target[] = [
  hostFile({
    name: 'enrolment',
    file: files.enrolment,
    tokens: ['server', 'host_id', 'product', 'channel', 'alpha', 'labels', 'service', 'control', 'systemd', 'unit'],
    refusals: [ShapeError, SyntaxError],
    read: async (disk) => {
      const enrolment = await loadEnrolment({ disk, files })
      await saveState(disk, files.enrolment, enrolment ?? {})
      sameTree('written and read again', await loadEnrolment({ disk, files }), enrolment)
      return enrolment?.channel
    },
  }),
  hostFile({
    name: 'assignment-state',
    file: files.assignment,
    tokens: ['floor', 'sequence', 'keyids', 'document', 'used', 'heard', 'refused', 'sha256', 'code', 'message'],
    refusals: [TrustError],
    read: async (disk) => {
      const state = await loadAssignmentState({ disk, files })
      await saveState(disk, files.assignment, state)
      sameTree('written and read again', await loadAssignmentState({ disk, files }), state)
      return state.used.length
    },
  }),
  hostFile({
    name: 'assignment-offered',
    file: files.assignmentOffered,
    tokens: ['document'],
    read: async (disk) => typeof (await loadOffered({ disk, files })),
  }),
  hostFile({
    name: 'hold',
    file: files.hold,
    tokens: ['until', 'reason', '2026-11-23T10:00:00Z', '+275760-09-13', '-1'],
    read: async (disk) => {
      const hold = await loadHold(disk, files)
      same('a file that is there holds', hold !== null, true)
      same('a time or none', Number.isNaN(hold?.until?.getTime() ?? 0), false)
      return hold?.until === null
    },
  }),
  hostFile({
    name: 'offers',
    file: files.offers,
    tokens: ['0a1', '0b2', '2026-11-23T10:00:00Z'],
    read: async (disk) => {
      const offers = await loadOffers(disk, files)
      for (const [version, seen] of offers) same(version, Number.isNaN(seen.getTime()), false)
      return offers.size
    },
  }),
  hostFile({
    name: 'check',
    file: files.check,
    tokens: ['at', 'target', 'waiting', 'expires', 'assignment', 'in_force', 'refusal', 'sequence', 'root_version'],
    read: async (disk) => {
      const check = await loadCheck(disk, files)
      if (check === undefined) return 'none'
      await saveCheck(disk, files, check)
      sameTree('written and read again', await loadCheck(disk, files), check)
      return check.assignment === null
    },
  }),
  hostFile({
    name: 'brake',
    file: files.brake,
    tokens: ['parties', 'paused', 'reason', 'since', parties],
    read: async (disk) => {
      const brake = await loadBrake(disk, files, WHO)
      await saveBrake(disk, files, WHO, brake)
      sameTree('written and read again', await loadBrake(disk, files, WHO), brake)
      return brake.paused
    },
  }),
  hostFile({
    name: 'standing',
    file: files.standing,
    tokens: ['host_id', 'enrolled_at', 'forgotten_at', WHO.host_id],
    read: async (disk) => (await loadForgotten({ disk, files }, WHO)) === null,
  }),
  hostFile({
    name: 'outbox',
    file: files.outbox,
    tokens: ['parties', 'epoch', 'stored', 'seq', 'sha256', 'numbered', 'waiting', 'told', 'body', 'type', 'at'],
    refusals: [OutboxTaken],
    read: readOutbox,
  }),
  hostFile({
    name: 'process-record',
    file: join(paths.service, 'process.json'),
    tokens: ['wanted', 'running', 'process', 'identity', 'pid', 'startTime', 'bootId', 'stopSignal', 'SIGTERM'],
    read: async (disk) => {
      const record = await loadProcessRecord(disk, paths)
      await saveProcessRecord(disk, paths, record)
      sameTree('written and read again', await loadProcessRecord(disk, paths), record)
      if (record.process === null) return record.wanted
      const { logOffset, restarts, startedAt, stopSignal, stopTimeoutMs } = record.process
      for (const count of [logOffset, restarts, stopTimeoutMs]) same('a count', count >= 0, true)
      same('a time', Number.isNaN(Date.parse(startedAt)), false)
      return stopSignal.startsWith('SIG')
    },
  }),
  hostFile({
    name: 'generation',
    file: '/host/generation.json',
    tokens: ['number', 'tree', 'service', 'argv', 'lock_digests', '0a1', 'restart_units', '..'],
    refusals: [ShapeError],
    read: async (disk) => {
      const read = parseJsonFile('FILE', await disk.readFile('/host/generation.json'))
      const generation = parseShape(generationShape, read, 'FILE')
      same('a folder of the store', join('/store', generation.tree).startsWith('/store'), true)
      return generation.service === null
    },
  }),
  {
    name: 'plan',
    form: 'json',
    tokens: ['update_id', 'from', 'to', 'manifest', 'artifact', 'generation', 'kind', 'new', 'return', 'steps', 'kept'],
    refusals: [ShapeError],
    read: async (input) => {
      const { plan } = updateFiles(paths, UPDATE_ID)
      const past = await loadUpdate(createSimDisk({ files: { [plan]: input } }), paths, UPDATE_ID)
      const read = parseShape(planShape, parseJsonFile('FILE', input), 'FILE')
      same('history shows it', past?.to, read.to)
      return read.generation.kind
    },
  },
  hostFile({
    name: 'quarantine',
    file: paths.quarantine,
    tokens: ['versions', 'version', 'tree_sha256', 'update_id', 'code', 'message', '0a1'],
    refusals: [ShapeError],
    read: async (disk) => {
      const versions = await loadQuarantine(disk, paths)
      const [first] = versions
      if (first === undefined) return 0
      await addQuarantine(disk, paths, { ...first, code: 'again' })
      const found = findQuarantine(await loadQuarantine(disk, paths), { version: first.version, treeSha256: '' })
      same('renewed', found?.code, 'again')
      return versions.length
    },
  }),
  hostFile({
    name: 'floor',
    file: paths.floor,
    tokens: ['netlink.floor/v1', 'floor', '0a1', '9r9'],
    refusals: [ShapeError, FloorMissing],
    read: async (disk) => {
      const before = await loadFloor(disk, paths)
      await raiseFloor({ disk, paths }, INSTALLED)
      const after = await loadFloor(disk, paths)
      for (const least of [before, INSTALLED])
        same('it never sinks', after !== null && least !== null && compareVersions(after, least) >= 0, true)
      return after === before
    },
  }),
  hostFile({
    name: 'version-record',
    file: paths.versionJson,
    tokens: ['current_version', 'last_updated', 'history', 'status', '0a2', 'migration_required'],
    read: async (disk) => {
      const warnings = await recordInstalled(
        { disk, paths },
        {
          ...{ version: INSTALLED, installedAt: AT, releasedAt: AT, migrationRequired: false },
          ...{ databaseVersion: null, configVersion: null },
        },
      )
      same('what was installed', (await loadVersionRecord({ disk, paths })).current_version, INSTALLED)
      return warnings.length
    },
  }),
  hostFile({
    name: 'floors',
    file: join(paths.trust, FLOORS_FILE),
    tokens: ['root', 'timestamp', 'snapshot', 'version', 'keyids', 'announced', 'roles', 'file', 'targets.json'],
    refusals: [TrustError],
    read: async (disk) => {
      const store = buildFileTrustStore(disk, paths.trust)
      const floors = await store.loadFloors()
      if (floors === undefined) return 'none'
      await store.saveFloors(floors)
      sameTree('written and read again', await store.loadFloors(), floors)
      return floors.snapshot?.roles.size
    },
  }),
  hostFile({
    name: 'known-roots',
    file: join(paths.trust, 'roots.state'),
    tokens: ['netlink.known-roots/v1', 'roots', 'version', 'sha256'],
    refusals: [TrustError],
    read: async (disk) => {
      const before = await loadKnownRoots(disk, paths.trust)
      await buildHostTrustStore(disk, paths.trust).save('root.json', signed(ROOT))
      const after = await loadKnownRoots(disk, paths.trust)
      sameTree('no root is forgotten', after.slice(0, before.length), before)
      same(
        'the new one is known',
        after.filter(({ sha256 }) => sha256 === fingerprintOf(signed(ROOT))).length > 0,
        true,
      )
      return before.length
    },
  }),
  {
    name: 'lock-holder',
    form: 'json',
    tokens: ['pid', 'command', 'since'],
    refusals: [],
    read: async (input) => {
      writeFileSync(`${lockPath()}.holder`, input)
      const holder = await readHolder(lockPath())
      if (holder !== undefined) same('a process', typeof holder.pid, 'number')
      return holder === undefined
    },
  },
  {
    name: 'socket-path',
    form: 'text',
    tokens: ['/run/netlink-0123', '/run', '..', '/', '\n', '\0', '/tmp'],
    refusals: [PlatformError],
    read: async (input) => {
      const folder = `/${'long'.repeat(30)}`
      const disk = createSimDisk({
        files: { [`${folder}/agent.sock.path`]: input, '/run/netlink-0123/agent.sock': '' },
      })
      const path = await findSocketPath(disk, folder, 'agent.sock')
      same('a socket in a folder that is there', (await disk.lstat(dirname(path))).kind, 'directory')
      return 'found'
    },
  },
  {
    name: 'local-api',
    form: 'text',
    tokens: [
      ...['GET ', 'POST ', '/api/v1/system/updates/status/', '/api/v1/system/updates/upgrade', '\n\n', '//', '%', '{}'],
      ...['target_version', 'force', 'deadline_ms', 'update_id', '?detailed=true', UPDATE_ID, ':'],
    ],
    refusals: [],
    read: async (input) => {
      const { status, tasks } = await askLocalApi(input)
      same('somebody knows what to answer', status < 500, true)
      same('one task at most', tasks.length <= 1, true)
      if (status >= 400) same('nothing is begun that is refused', tasks.length, 0)
      return `${status} ${tasks.length}`
    },
  },
  {
    name: 'unit-facts',
    form: 'text',
    tokens: ['ActiveState=', 'SubState=', 'Result=', 'NRestarts=', '=', '\n', 'active'],
    refusals: [],
    read: (input) => {
      const { active, restarts, words } = parseUnitFacts(textOf(input))
      same('a count', Number.isSafeInteger(restarts) && restarts >= 0, true)
      return `${active} ${words}`
    },
  },
  {
    name: 'service-output',
    form: 'bytes',
    tokens: ['\n', '\u001b[31m', '\u001b]0;', '\u0007', '\u009b', '\r'],
    refusals: [],
    read: (input) => {
      const lines = lastLines(input)
      same('as many lines as fit', lines.length <= 20 && lines.join('\n').length <= 8 << 10, true)
      same('nothing that a terminal would obey', /(?!\t)\p{Cc}/u.test(lines.join('')), false)
      return lines.length
    },
  },
]

/** Whatever was damaged, a host can go on reporting, and what it says has numbers without holes. */
async function readOutbox(disk: SimDisk): Promise<string> {
  const outbox = buildOutbox({
    ...{ disk, clock: systemClock, file: files.outbox, hostId: WHO.host_id, parties },
    sign: () => 'ab'.repeat(64),
    lock: async () => ({ release: async () => {} }),
  })
  const before = await outbox.count()
  await outbox.append({ type: 'refusal', refusal: { code: 'E-HASH', message: 'not as said', version: null } })
  await outbox.toldOf(UPDATE_ID)
  const taken = await outbox.take(5_000)
  for (const [at, report] of taken.entries()) same('a number', report.seq, (taken[0]?.seq ?? 0) + at)
  same('all are taken', taken.length, await outbox.count())
  await outbox.resumeAfter(taken.at(-1)?.seq ?? 0)
  same('all are told', await outbox.count(), 0)
  return `${before}`
}

let folder: string | undefined

function lockPath(): string {
  folder ??= mkdtempSync(join(tmpdir(), 'netlink-fuzz-lock-'))
  return join(folder, 'lock')
}
