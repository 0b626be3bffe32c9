// Parsers of what comes over a socket, out of an archive, or from a person's editor.
import { formatRecord, parseJournal } from '../../agent/engine/journal.ts'
import { readServerMessage } from '../../agent/report/server-message.ts'
import { ExpandError, expand, parseAppEnv } from '../../agent/service/expand.ts'
import { parseRequest } from '../../agent/service/wire.ts'
import { editUpdateYml, readUpdateYml } from '../../agent/update-yml.ts'
import { parseJson } from '../../keys/json.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { ArchiveError } from '../../schema/archive/archive-error.ts'
import { createArchiveReader } from '../../schema/archive/reader.ts'
import { paddingBytes, TAR_END, tarHeader } from '../../schema/archive/tar.ts'
import { plainLine, plainText } from '../../schema/cli/plain-text.ts'
import { parseDuration } from '../../schema/duration.ts'
import { releaseJsonShape } from '../../schema/release-json.ts'
import { parseLineRoleName, parseManifestPath } from '../../schema/release-path.ts'
import { reportBodyShape } from '../../schema/report.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseStrict } from '../../schema/strict-shape.ts'
import { decideWindow, parseTimeWindow } from '../../schema/time-window.ts'
import { buildVersion, parseVersion, versionParts } from '../../schema/version.ts'
import { parseVersionJson } from '../../schema/version-json.ts'
import { parseRange, rangeIncludes } from '../../schema/version-range.ts'
import { CoreError } from '../../server/core/core-error.ts'
import { filterCondition, parseFilter } from '../../server/core/filter.ts'
import { CURSOR_PART, parseCursor } from '../../server/core/page.ts'
import { parseToken } from '../../server/core/tokens.ts'
import { decideRange } from '../../server/http/byte-range.ts'
import { readFrame } from '../../server/ws/frame.ts'
import { repairTar } from './tar-repair.ts'
import { BrokenProperty, OBEYED, same, sameBytes, type Target, textOf } from './target.ts'

const NOW = new Date('2026-11-23T10:00:00Z')
const LIMITS = { maxEntries: 1_000, maxBytes: 1_000_000 }

function text(
  name: string,
  tokens: readonly string[],
  refusals: Target['refusals'],
  read: (text: string) => unknown,
): Target {
  return { name, form: 'text', tokens, refusals, read: (input) => read(textOf(input)) }
}

function written(name: string, tokens: readonly string[], read: (value: unknown) => unknown): Target {
  return { name, form: 'json', tokens, refusals: [TrustError, ShapeError], read: (input) => read(parseJson(input)) }
}

const MESSAGE_WORDS = [
  ...['type', 'hello', 'reports', 'ack', 'seq', 'body', 'at', 'signature', 'previous', 'epoch', 'host_id', 'nonce'],
  ...[
    'challenge',
    'welcome',
    'hint',
    'brake',
    'assignment',
    'refused',
    'release',
    'paused',
    'reason',
    'since',
    '\\u0000',
  ],
]

/** Everything else that reads bytes from elsewhere. */
export const otherTargets: readonly Target[] = [
  {
    name: 'archive',
    form: 'bytes',
    tokens: [
      'ustar\u000000',
      '0000644\0',
      '0000755\0',
      '00000000000\0',
      'x\0',
      'path=',
      '../',
      './',
      'a/b',
      '30 path=',
    ],
    refusals: [ArchiveError],
    repair: repairTar,
    read: readArchive,
  },
  text('server-frame', MESSAGE_WORDS, [], (frame) => {
    const read = readFrame(frame)
    return read.kind === 'message' ? read.message.type : read.kind
  }),
  text('agent-frame', MESSAGE_WORDS, [], (frame) => readServerMessage(frame).type),
  text('supervisor-request', ['op', 'start', 'generation', 'update_id'], [], (line) => parseRequest(line)?.op),
  written(
    'report-body',
    ['type', 'inventory', 'attempt', 'refusal', 'code', 'state', 'waiting', 'version'],
    (value) => parseStrict(reportBodyShape, value, 'report').type,
  ),
  text(
    'filter',
    [
      'and',
      'or',
      'not',
      '(',
      ')',
      'in',
      'version',
      'label.',
      'last_seen<1h',
      '=',
      '!=',
      '~',
      '"',
      'none',
      'not '.repeat(40),
    ],
    [CoreError],
    (filter) => {
      const parsed = parseFilter(filter)
      filterCondition(parsed, { now: new Date(0), liveReplicas: ['a'] })
      return parsed.kind
    },
  ),
  text('cursor', ['["1"]', 'WyIxIl0'], [CoreError], (cursor) => parseCursor({ cursor }, CURSOR_PART.number)?.length),
  text('token', ['nlk_', 'publish', 'admin', '_'], [CoreError], (token) => parseToken(token).scope),
  text('byte-range', ['bytes=', '-', ',', '0-'], [], (header) => {
    const range = decideRange(header, 1000)
    if (range.kind === 'part' && !(range.start >= 0 && range.start <= range.end && range.end < 1000))
      throw new BrokenProperty(`a part outside of the file: ${range.start}-${range.end}`)
    return range.kind
  }),
  written(
    'release-json',
    ['schema', 'service', 'argv', 'env', 'changelog', 'entries', 'health_checks', 'requirements'],
    (value) => parseStrict(releaseJsonShape, value, 'release.json'),
  ),
  written('version-json', ['current_version', 'previous_version', '0a1', 'history', 'channel'], (value) =>
    parseVersionJson(value, 'version.json'),
  ),
  text(
    'update-yml',
    [
      'update_system:',
      '  automatic:\n',
      '    mode: auto\n',
      '&a',
      '*a',
      '<<:',
      '!!js/function',
      '? ',
      '- ',
      '{',
      '}',
      '%YAML 1.1\n',
      '|\n',
    ],
    [ShapeError],
    (yml) => {
      readUpdateYml(yml)
      const edited = editUpdateYml(yml, 'automatic.mode', 'off')
      same('what was set is read', readUpdateYml(edited).automatic.mode, 'off')
      return edited.length
    },
  ),
  text('app-env', ['export ', '=', '#', '"', '${A}', '${A:-b}', '\r\n'], [ExpandError], (env) => {
    const variables = parseAppEnv(env)
    return [...variables.values()].map((value) => expand(value, variables)).length
  }),
  {
    name: 'journal',
    form: 'bytes',
    tokens: ['\n', '{"seq":1', '"phase":"'],
    refusals: [],
    read: (input) => {
      const journal = parseJournal(input)
      if (journal.kind === 'damaged') return journal.kind
      const good = Buffer.from(journal.records.map(formatRecord).join(''))
      same('good bytes', journal.goodBytes <= input.length, true)
      const again = parseJournal(good)
      same('written and read again', again.kind === 'whole' && again.records.length, journal.records.length)
      return journal.kind
    },
  },
  text('version', ['a', 'b', 'r', '+', '.', '0'], [ShapeError], (version) => {
    const parsed = parseVersion(version)
    same('built from its parts', buildVersion(versionParts(parsed)), parsed)
    return 'version'
  }),
  text('version-range', ['>=', '<', '||', ' ', '*', '0a1', '=0b2'], [ShapeError], (range) => {
    const parsed = parseRange(range)
    const spelled = parsed.alternatives.map((all) => all.map(({ operator, version }) => operator + version).join(' '))
    const again = parseRange(
      spelled
        .map((one) => one || '*')
        .join(' || ')
        .slice(0, 1024),
    )
    for (const { version } of parsed.alternatives.flat().slice(0, 10))
      same(
        'spelled again',
        again.text.length === 1024 || rangeIncludes(again, version) === rangeIncludes(parsed, version),
        true,
      )
    return parsed.alternatives.length
  }),
  text('duration', ['ms', 's', 'h', 'd'], [ShapeError], (duration) => {
    same('whole milliseconds', Number.isSafeInteger(parseDuration(duration)), true)
    return duration.at(-1)
  }),
  text(
    'time-window',
    ['always', 'mon', 'fri', '-', '22:00', ';', 'UTC', 'Europe/Berlin', ','],
    [ShapeError],
    (window) => {
      const parsed = parseTimeWindow(window)
      const decision = decideWindow(parsed, NOW)
      if (decision.kind === 'closed') same('opens later', decision.opens > NOW, true)
      else same('closes later', decision.until === null || decision.until > NOW, true)
      return `${parsed.kind} ${decision.kind}`
    },
  ),
  text('release-path', ['alpha/', '/manifest.json', '-0-50', '0a1', '+b'], [ShapeError], (path) =>
    path.includes('/') ? parseManifestPath(path) : parseLineRoleName(path).channel,
  ),
  text(
    'plain-text',
    ['\u001b[31m', '\u001b]8;;', '\u0007', '\u009b', '\u202e', '\u2066', '\u001bP', '\r'],
    [],
    (foreign) => {
      const plain = plainText(foreign)
      const found = OBEYED.exec(plain)
      if (found !== null) throw new BrokenProperty(`a terminal would obey ${JSON.stringify(found[0])}`)
      // What was cut may have grown past the limit again: a tab becomes two spaces.
      if (plain.length < 65_536) same('plain stays plain', plainText(plain), plain)
      same('one line', plainLine(foreign).includes('\n'), false)
      return plain.length === foreign.length
    },
  ),
]

/** What the reader accepts is byte for byte what the writer makes of the same entries, however the chunks fall. */
function readArchive(input: Uint8Array): number {
  const entries = eventsOf(input, input.length || 1)
  sameBytes('written again', Buffer.concat([...entries, TAR_END]), input)
  sameBytes('read in small pieces', Buffer.concat(eventsOf(input, 97)), Buffer.concat(entries))
  return entries.length
}

function eventsOf(input: Uint8Array, pieceBytes: number): Uint8Array[] {
  const reader = createArchiveReader(LIMITS)
  const parts: Uint8Array[] = []
  let size = 0
  for (let at = 0; at < input.length; at += pieceBytes) {
    for (const event of reader.push(input.subarray(at, at + pieceBytes))) {
      if (event.type === 'data') parts.push(event.bytes)
      else if (event.type === 'entry') parts.push(tarHeader(event.entry))
      if (event.type === 'entry') size = event.entry.size
      if (event.type === 'end-entry') parts.push(new Uint8Array(paddingBytes(size)))
    }
  }
  reader.end()
  return parts
}
