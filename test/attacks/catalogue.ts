// Everything that has broken an updater before, and the tests of ours that hold against it. T: what a verifier of signed metadata got wrong. H: what an
// updater on a host got wrong. C: what the public TUF suite leaves out. A test that begins with a number counts for that number by itself; `by` names
// others, as `file: part of the test's name`. What can't be shown yet says why in `later`.

export interface Entry {
  readonly number: string
  readonly what: string
  readonly by?: readonly string[]
  readonly later?: string
}

const E2E = 'e2e/attacks.test.ts'
const HOSTILE = 'schema/archive/hostile.test.ts'
const UNPACK = 'engine/unpack.test.ts'
const LIMITS = 'server-http/limits.test.ts'
const SOCKET = 'server-http/socket.test.ts'
const FRAMES = 'server-http/socket-frames.test.ts'
const DOWNLOAD = 'platform/download.test.ts'
const FAILURES = 'platform/download-failures.test.ts'
const FETCH = 'platform/fetch.test.ts'
const REACH = 'platform/fetch-reach.test.ts'
const ENROLMENT = 'server-core/enrolment.test.ts'
const DECIDE = 'agent/decide.test.ts'
const JSON_TEST = 'keys/json.test.ts'
const KEY = 'keys/key.test.ts'
const REFRESH = 'keys/refresh.test.ts'
const WALK = 'keys/find-target.test.ts'
const DELEGATIONS = 'keys/attacks-on-delegations.test.ts'
const HISTORY = 'keys/attacks-on-history.test.ts'

export const catalogue: readonly Entry[] = [
  { number: 'T1', what: 'one signature counted twice' },
  { number: 'T2', what: 'one key counted under two key ids' },
  { number: 'T3', what: 'one key counted in two spellings' },
  { number: 'T4', what: 'a threshold of nothing, or of no number' },
  { number: 'T5', what: 'no signatures at all' },
  { number: 'T6', what: 'key types and schemes confused' },
  { number: 'T7', what: 'weak keys', by: [`${KEY}: is refused when it is loaded`] },
  { number: 'T8', what: 'a refused root that becomes trusted' },
  { number: 'T9', what: 'a new root without its own threshold' },
  { number: 'T10', what: 'a root that skips a version' },
  { number: 'T11', what: 'a root that has expired' },
  { number: 'T12', what: 'roots without end' },
  { number: 'T13', what: 'an older timestamp or snapshot' },
  { number: 'T14', what: 'a refused timestamp that is kept' },
  { number: 'T15', what: 'an older delegated role' },
  { number: 'T16', what: 'a role that has vanished from the snapshot' },
  { number: 'T17', what: 'terminating delegations ignored' },
  { number: 'T18', what: 'delegations followed in the wrong order' },
  { number: 'T19', what: 'an order that the language’s objects change' },
  { number: 'T20', what: 'one role name twice' },
  { number: 'T21', what: 'a cached role that inherits authority' },
  { number: 'T22', what: 'wildcards that cross a slash' },
  { number: 'T23', what: 'matching that differs between systems' },
  {
    number: 'T24',
    what: 'patterns that are more than patterns',
    by: ['keys/path-pattern.test.ts: takes no time over'],
  },
  { number: 'T25', what: 'a delegated role with a top-level name' },
  { number: 'T26', what: 'role names that leave the folder' },
  { number: 'T27', what: 'target paths that leave the folder' },
  { number: 'T28', what: 'facts beside a target that are not its path’s' },
  { number: 'T29', what: 'a crash before any signature was checked' },
  { number: 'T30', what: 'too many signatures' },
  { number: 'T31', what: 'data without end', by: [`${FETCH}: a body that is encoded with`] },
  { number: 'T32', what: 'data too slow', by: [`${FETCH}: one byte now and then`, `${FAILURES}: one byte a second`] },
  { number: 'T33', what: 'a repository that stands still' },
  { number: 'T34', what: 'rollback floors lost with the cache' },
  { number: 'T35', what: 'an expiry that nobody can read' },
  { number: 'T36', what: 'hashes that are empty or misspelt' },
  { number: 'T37', what: 'weak hashes only' },
  {
    number: 'T38',
    what: 'documents that two parsers read differently',
    by: [`${JSON_TEST}: names of Object.prototype`],
  },
  { number: 'T39', what: 'names of the language’s own' },
  { number: 'T40', what: 'one kind of document for another' },
  { number: 'T41', what: 'a version that is not the address’s' },
  { number: 'T42', what: 'specification versions' },
  { number: 'T43', what: 'documents that do not belong together' },
  { number: 'T44', what: 'numbers driven up by a thief' },
  { number: 'T45', what: 'key ids that are not their keys’' },
  {
    number: 'T46',
    what: 'key ids without keys, thresholds without enough of them',
    by: [
      'server-core/publication-refusals.test.ts: one signature where two are needed',
      'publisher/root.test.ts: a threshold stays below the number of keys unless somebody insists',
    ],
  },
  { number: 'T47', what: 'a crash in the middle of remembering' },
  { number: 'T48', what: 'trust taken for granted where the root is missing' },
  { number: 'T49', what: 'what is executed or shown, outside the signature' },
  { number: 'T50', what: 'artifacts beyond 2 and 4 GiB' },
  { number: 'T51', what: 'redirects', by: [`${REACH}: not to %s`] },
  {
    number: 'T52',
    what: 'a log entry that is bound to no artifact',
    later: 'the transparency log does not exist yet: there is no proof to be wrong',
  },

  {
    number: 'H1',
    what: 'paths in archives that lead out',
    by: [`${HOSTILE}: %j is refused as %s`, `${HOSTILE}: in a PAX header %s is refused`, `${UNPACK}: a path upwards`],
  },
  {
    number: 'H2',
    what: 'links in archives and under the feet',
    by: [
      `${HOSTILE}: a symbolic link`,
      `${UNPACK}: a symlink that somebody laid into the folder before`,
      `${UNPACK}: a folder that is a symlink`,
    ],
  },
  {
    number: 'H3',
    what: 'devices, pipes, set-id bits, owners, attributes',
    by: [`${HOSTILE}: a setuid program`, `${HOSTILE}: a capability`, `${UNPACK}: set-id bits`],
  },
  {
    number: 'H4',
    what: 'names that some disks take for one',
    by: [`${HOSTILE}: two names that differ in case`, `${HOSTILE}: sharp s and ss`, `${HOSTILE}: a decomposed name`],
  },
  {
    number: 'H5',
    what: 'archives that unpack without end',
    by: [
      `${UNPACK}: a bomb of zeros behind the end`,
      `${UNPACK}: a size that lies`,
      `${UNPACK}: thousands of empty files are not made`,
      `${HOSTILE}: hold for the sum of bytes, at the header that breaks them`,
    ],
  },
  { number: 'H6', what: 'changes between check and use' },
  { number: 'H7', what: 'names that something obeys' },
  {
    number: 'H8',
    what: 'failures taken for success',
    by: ['engine/refusals.test.ts: where the manifest is not the verified one'],
  },
  { number: 'H9', what: 'verification switched off' },
  { number: 'H10', what: 'a server that lies to one host', by: [`${E2E}: refused with exit 7, the host stays`] },
  { number: 'H11', what: 'an old release under a new number' },
  {
    number: 'H12',
    what: 'being sent back',
    by: [
      'agent/commands.test.ts: a record of the greatest version that was deleted does not let an older one in',
      'agent/refusals.test.ts: a downgrade that the installed release does not allow',
      'server-core/seal.test.ts: a database restored to yesterday takes in what was published since',
      `${DECIDE}: one below the signed minimum, on a host without a floor only`,
      'agent/assignment-ways.test.ts: a way down needs an authorisation that was signed offline',
      'agent/handed-over.test.ts: yesterday’s repository is refused against what the server hands over',
    ],
  },
  { number: 'H13', what: 'archives opened before they are verified' },
  {
    number: 'H14',
    what: 'a privileged helper that obeys anybody',
    by: [
      'agent/daemon.test.ts: lies where no other user gets in',
      'platform/private-dir.test.ts: refuses when %s has mode',
    ],
  },
  {
    number: 'H15',
    what: 'folders that others can write in',
    by: ['platform/private-dir.test.ts: belongs to a stranger'],
  },
  {
    number: 'H16',
    what: 'hooks that run with full power',
    later: 'hooks have no engine yet: a release that has them is refused by name',
  },
  {
    number: 'H17',
    what: 'orders over the socket',
    by: [
      'agent/socket.test.ts: an order to execute or install something is no message of this protocol',
      `${FRAMES}: of types that only a newer agent knows nothing is made`,
    ],
  },
  { number: 'H18', what: 'sockets opened by other people’s pages', by: [`${SOCKET}: any page’s origin is refused`] },
  {
    number: 'H19',
    what: 'sockets that eat the memory',
    by: [
      `${SOCKET}: nothing is compressed, whatever the client offers`,
      `${SOCKET}: an address that opens sockets and says nothing gets no more of them`,
      `${FRAMES}: a frame that is too large`,
      `${FRAMES}: a message in a thousand fragments ends the connection`,
    ],
  },
  {
    number: 'H20',
    what: 'requests without end, paths with two meanings',
    by: [
      `${LIMITS}: of an artifact of 1000 bytes is cut there`,
      'server-http/repository.test.ts: paths that mean one thing here and another in between',
      'server-core/fs-blob-store.test.ts: a symlink in an object’s place is no object',
    ],
  },
  {
    number: 'H21',
    what: 'downloads that drip, stall, never end or change',
    by: [
      `${FAILURES}: a stall at 99 % ends at the deadline of the whole`,
      `${DOWNLOAD}: starts over when the entity tag changed in between`,
      `${DOWNLOAD}: pieced together from two files, twice`,
    ],
  },
  {
    number: 'H22',
    what: 'storage that somebody else took over',
    by: [`${E2E}: an artifact with one byte turned is refused`],
  },
  {
    number: 'H23',
    what: 'enrolment tokens that leak or are used again',
    by: [
      `${ENROLMENT}: of two machines with the last use of a token one becomes a host`,
      `${E2E}: an enrolment token works as often as it says and not once more`,
      'server-core/tokens.test.ts: the secret is shown once, opens what it may, and lies nowhere',
      'agent/enroll.test.ts: and the token was never shown',
      `${ENROLMENT}: the name of a host is nobody else’s until it is forgotten`,
    ],
  },
  {
    number: 'H24',
    what: 'one machine that passes for another',
    by: [
      'server-core/reports.test.ts: two machines with one key are told apart by their numbers',
      'server-core/report-forks.test.ts: shows when a copy that fell behind goes on',
      'agent/report-copies.test.ts: a copied host folder shows as soon as both machines have spoken',
      'agent/report-copies.test.ts: a copy that makes up the greatest number shows at once',
      'agent/report-numbers.test.ts: two machines that both spoke show, whatever number the second made up',
      'server-http/routes-hosts.test.ts: reports that another host signed',
    ],
  },
  {
    number: 'H25',
    what: 'half an update',
    by: [
      'engine/crash.test.ts: an upgrade leaves the old or the new version',
      'engine/kill.test.ts: at every record of an upgrade leaves the old or the new version',
    ],
  },
  {
    number: 'H26',
    what: 'a way back that destroys data',
    later: 'databases have no engine yet: a release with migrations is refused by name',
  },
  {
    number: 'H27',
    what: 'an agent that updates itself to death',
    later: 'the agent does not update itself yet: whoever installed it replaces it',
  },
  {
    number: 'H28',
    what: 'changelogs that something obeys',
    by: [
      'schema/changelog.test.ts: reaches no terminal, in no format',
      'schema/cli/plain-text.test.ts: holds no control whatever comes in',
      'agent/refusals.test.ts: words that no terminal should obey come out as plain text',
    ],
  },
  {
    number: 'H29',
    what: 'clocks that were set',
    by: [`${REFRESH}: recovers by itself when a clock that was ahead comes back`],
  },
  { number: 'H30', what: 'two at once, full disks, cut caches', by: ['engine/kill.test.ts: two upgrades at once'] },

  { number: 'C1', what: 'length limits', by: [`${REFRESH}: T31 checks sizes itself`] },
  { number: 'C2', what: 'the number of new roots', by: [`${REFRESH}: T12 new roots`] },
  { number: 'C3', what: 'slow retrieval', by: ['keys/attacks-on-transport.test.ts: T32 data too slow'] },
  { number: 'C4', what: 'redirects', by: ['keys/attacks-on-transport.test.ts: T51 redirects'] },
  {
    number: 'C5',
    what: 'content encodings',
    by: ['keys/attacks-on-transport.test.ts: which would unpack without end'],
  },
  { number: 'C6', what: 'key ids that are no hashes', by: [`${KEY}: T45 is refused under any other key id`] },
  {
    number: 'C7',
    what: 'one key under two key ids',
    by: ['keys/attacks-on-signatures.test.ts: T2 one key under two key ids that are both right'],
  },
  {
    number: 'C8',
    what: 'thresholds that are no count',
    by: ['keys/attacks-on-signatures.test.ts: T4 a threshold of 1e0'],
  },
  { number: 'C9', what: 'specification 2.x', by: ['keys/attacks-on-content.test.ts: T42 spec_version'] },
  { number: 'C10', what: 'ways to write an expiry', by: [`${HISTORY}: T35 a timestamp that expires`] },
  {
    number: 'C11',
    what: 'duplicate names, floats, big integers, half characters, depth, bad UTF-8',
    by: [`${JSON_TEST}: nested arrays, without using up the stack`],
  },
  {
    number: 'C12',
    what: 'malformed metadata before its signatures',
    by: ['keys/attacks-on-content.test.ts: T29 a timestamp that reads'],
  },
  {
    number: 'C13',
    what: 'the same timestamp after it expired',
    by: [`${REFRESH}: is called frozen once its timestamp has expired`],
  },
  {
    number: 'C14',
    what: 'expiry, hash and version of delegated roles',
    by: [`${DELEGATIONS}: what the snapshot says of a delegated role is held to`],
  },
  {
    number: 'C15',
    what: 'path_hash_prefixes',
    by: [`${DELEGATIONS}: path_hash_prefixes of another path do not match`],
  },
  { number: 'C16', what: 'succinct roles', by: [`${DELEGATIONS}: succinct roles, which are not read here`] },
  {
    number: 'C17',
    what: 'repositories without consistent snapshots',
    by: [`${REFRESH}: reads a repository without consistent snapshots`],
  },
  {
    number: 'C18',
    what: 'top-level names in delegations',
    by: ['keys/attacks-on-content.test.ts: T25 a delegated role named'],
  },
  { number: 'C19', what: 'duplicate role names', by: [`${DELEGATIONS}: T20 one role name twice`] },
  { number: 'C20', what: 'role names that look like numbers', by: [`${WALK}: T19 names that look like numbers`] },
  { number: 'C21', what: 'target paths that lead out', by: [`${WALK}: T27 the target path`] },
  { number: 'C22', what: 'no hashes', by: ['keys/attacks-on-content.test.ts: T36 no hash at all'] },
  { number: 'C23', what: 'md5 only', by: ['keys/attacks-on-content.test.ts: T37 only md5'] },
  {
    number: 'C24',
    what: 'a cache that is cut or changed',
    by: ['keys/attacks-on-stores.test.ts: cut anywhere is loaded again'],
  },
  {
    number: 'C25',
    what: 'refreshes at the same time',
    by: ['keys/attacks-on-stores.test.ts: H30 four refreshes of one folder at once'],
  },
  {
    number: 'C26',
    what: 'crashes between two writes',
    by: [
      'keys/attacks-on-stores.test.ts: T47 kill -9 at any change of a refresh',
      'keys/floors.test.ts: T47 a power cut at any write',
    ],
  },
  { number: 'C27', what: 'a wrong clock', by: ['agent/clock-check.test.ts: H29 a clock that was set back'] },
  { number: 'C28', what: 'Ed25519 keys of small order', by: [`${KEY}: of small order verifies nothing`] },
  { number: 'C29', what: 'RSA below 2048 bits', by: [`${KEY}: rsa of 1024 bits`] },
  { number: 'C30', what: 'keys and schemes confused', by: [`${KEY}: ed25519 with an rsa scheme`] },
  {
    number: 'C31',
    what: 'one mirror after another',
    by: ['keys/attacks-on-transport.test.ts: one that is down, one that is behind and one that lies'],
  },
  {
    number: 'C32',
    what: 'rollback across an expired or deleted cache',
    by: ['keys/floors.test.ts: hold although the cached metadata'],
  },
]
