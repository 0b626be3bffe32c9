// What each error code of the four programs means and what mostly helps: the text of `netlink help CODE`.

const TOPICS: Readonly<Record<string, string>> = {
  'E-NOT-EMPTY':
    'The folder holds files that are not a server’s. A server makes a folder of its own, because keys and tokens lie in it. Name another with --dir.',
  'E-ALREADY-SERVER':
    'This folder is a server already, and init never overwrites one. Serve it, or name another folder.',
  'E-ALTERED':
    'A signing event, or an authorisation to go down, does not follow from what is trusted here, or holds what can’t be shown. It was not signed: ask whoever began it, by another way than the server, what was meant.',
  'E-ARCHIVE':
    'An archive holds what no archive may hold, such as a name that leaves its folder. Build the release again; a host throws the download away.',
  'E-ASSIGNED': 'The server keeps this host at the version it has. It ends with: netlink-admin hosts unpin HOST',
  'E-ASSIGNMENT-REFUSED':
    'The server directs this host to what it may not install; the detail begins with the check that failed. Nothing of it was done.',
  'E-AUTOMATIC-OFF':
    'Automatic updates are off on this host. Install by hand, or: netlink agent config set automatic.mode auto',
  'E-BARRIER-FIRST':
    'A release on the way has to be installed first, and it was withdrawn. A host waits until the publisher offers another way.',
  'E-BODY':
    'What came over the agent’s socket is not the JSON that this request takes. Compare it with the documented request.',
  'E-BUNDLE':
    'The file is no bundle, or it was cut off or changed on its way. Nothing of it was used. Copy it again and compare its sha256; else have a new one made: netlink-publish bundle',
  'E-CANCELLED': 'Somebody asked to stop, and it stopped where that is safe. Run the same command again to begin anew.',
  'E-CHANGED':
    'A file changed while it was being packed. Wait until whatever writes there is done and run the command again.',
  'E-CHANNEL':
    'The channel is less stable than the one this host follows. Add --allow-channel-change where that is meant.',
  'E-CONFIG':
    'A configuration file cannot be used as it is; the detail names the place. Correct it and run the command again.',
  'E-CONFLICT':
    'Somebody else was first, or what was asked for contradicts what is there. Look at the present state and try again.',
  'E-CRASHED': 'The service ended during the update. Its last lines are in the update’s log: netlink update log',
  'E-CURRENT':
    'The link to the installed version is not as the agent left it. Look at it with netlink update verify before anything is installed.',
  'E-DAEMON':
    'The agent’s daemon gave an answer that this program cannot read. Restart the daemon, so that both are of one version.',
  'E-DATABASE-IN-USE': 'The database holds another server’s tables already. Give this server a database of its own.',
  'E-DEAD-END':
    'No chain of releases leads from the installed version to the wanted one. The publisher has to offer one that does.',
  'E-DEADLINE':
    'The time allowed for the whole update was over. Run it again, with a longer --timeout if the machine is slow.',
  'E-DELEGATION':
    'A channel lets keys sign for it that may not, or fewer of them than must. Nothing of the channel is used; its holders have to look at what they signed, and sign it anew.',
  'E-DISK':
    'The disk refused, or has not enough room for the release. Make room and look at the system’s log for errors.',
  'E-DOWNLOAD':
    'The artifact could not be had from the server. Check the network; what came is kept and the next try goes on from there.',
  'E-ENCODING': 'The answer is encoded in a way that nobody asked for. Look at the proxy between here and the server.',
  'E-ENROLLED': 'This host knows a server already. Leave it first, or enrol again with --force.',
  'E-ENVIRONMENT': 'The service asks for a value that app.env does not have. Add it and run the command again.',
  'E-EVENT':
    'The signing event can’t go on: it has expired, was stopped, or is not known here. netlink-publish status lists those that are open.',
  'E-EXHAUSTED':
    'One step was tried too often without an end. Look at the update’s log, mend the cause, and try again.',
  'E-EXISTS': 'A file is there already and was not overwritten. Name another one, or move the old one away.',
  'E-EXPIRED':
    'What was signed is past its date. Check this machine’s clock first; then the server has to seal again, or the publisher to sign again.',
  'E-FILES':
    'Something in the folder may not be released: a secret, a symlink, a name that does not mean the same everywhere. Remove it, or exclude it in release.json.',
  'E-FLOOR-MISSING':
    'The file that remembers the greatest version that ran here is gone. Without it an old release could pass for a new one, so nothing is installed until this host is enrolled again (--force).',
  'E-FORBIDDEN': 'The token is good, but its scope or group does not cover this. Use one of another scope.',
  'E-FOREIGN':
    'The repository or manifest is another product’s. This host follows the product of its pinned root only.',
  'E-FOREIGN-ANSWER':
    'Something answers at this address that is not an update server. Check the address and what stands before the server.',
  'E-FORM': 'A file is not as it should be; the detail names the place. Correct it and run the command again.',
  'E-FORMAT': 'A file is not as it should be; the detail names the place. Correct it and run the command again.',
  'E-FREEZE':
    'The same timestamp is still served although it has expired: the server, or somebody before it, keeps news away. Check this machine’s clock first.',
  'E-HASH':
    'Bytes are not the ones that were signed: damaged on the way, in a cache, or changed. The download is thrown away and may be tried again.',
  'E-HOLD': 'Somebody holds this host as it is. Lift it with: netlink update unhold',
  'E-HTTP-STATUS':
    'The server gave no usable answer; the detail names its status. With 401 or 403 check the token, else the server’s log.',
  'E-INCOMPATIBLE':
    'The release is not made for this machine or for the installed version; the detail says why. Choose another version.',
  'E-INITIALIZED': 'This folder or server was set up before, and init never overwrites keys. Go on with what is there.',
  'E-INSECURE':
    'Plain http shows the token to everybody on the way. Use https, or --insecure-http where that is meant.',
  'E-INSECURE-HTTP':
    'Plain http shows the token to everybody on the way. Use https, or --insecure-http where that is meant.',
  'E-INTERNAL': 'The server met a mistake of its own. Its log has more under the request’s id.',
  'E-INTERRUPTED':
    'The program or the machine was stopped in the middle. Look at the status; the same command goes on or begins anew.',
  'E-INVALID': 'The server cannot read a value of the request; the detail names the place. Correct it and ask again.',
  'E-IO':
    'The disk or the machine refused; the detail holds its words. Look at the system’s log and at the rights of the folder.',
  'E-JITTER': 'Hosts of a fleet do not all update at once, and this one’s turn comes later. Wait, or install by hand.',
  'E-KEY': 'Signed metadata names a key that may not be trusted. The publisher has to look at the keys of the root.',
  'E-KEY-FILE':
    'The server’s own keys can’t be read. Check the rights of its secrets folder, or bring the file back from a backup.',
  'E-KEYRING-DUPLICATE-NAME': 'A key of this name is in the keyring already. Choose another name.',
  'E-KEYRING-NOT-A-KEYRING':
    'The file is no keyring, or it is damaged. Name the right file, or bring it back from a backup.',
  'E-KEYRING-PASSPHRASE-NEEDED': 'The keyring is encrypted. Give its passphrase with --passphrase-file NAME=FILE.',
  'E-KEYRING-READABLE-BY-OTHERS':
    'Others may read a keyring that is not encrypted. Take their rights away (chmod 600), and think about new keys.',
  'E-KEYRING-WRONG-PASSPHRASE':
    'The keyring does not open with this passphrase. Check whose keyring and whose passphrase was named.',
  'E-LINT': 'release.json or the changelog would be refused or regretted; the detail names each place. Correct them.',
  'E-LISTEN': 'The server cannot listen on this address. Name one that this machine has, and a port that it may use.',
  'E-LOCKED':
    'Another program is at work in the same place. On a host an update runs and did not end within five seconds: watch it with netlink update status --watch. For a server or a publishing folder another process uses that folder: stop it, or wait until it is done.',
  'E-MALFORMED': 'A document is not strict JSON or not what its role asks for. It was not used.',
  'E-METHOD': 'The agent’s socket has this address, but not for this method. Ask with the method that is documented.',
  'E-METHOD-NOT-ALLOWED':
    'The server has this address, but not for this method. Ask with the method that is documented.',
  'E-MISMATCH':
    'What the public sees is not what was signed. Verify again; if it stays, something before the server answers old or changed files.',
  'E-MISSING':
    'The repository announces a file that is not there. Try again; if it stays, the server’s storage has to be looked at.',
  'E-MISSING-GENERATION':
    'The version to go back to is no longer whole on this disk. Install it from the server instead: netlink update downgrade',
  'E-NAME-TAKEN':
    'Another host has this name at the server. Enrol under another one with --name; where this machine takes the place of that one, it is forgotten there first: netlink-admin hosts forget NAME',
  'E-NEEDS-ENGINE': 'The release asks for something this agent can’t do yet. A newer agent is needed.',
  'E-NEEDS-OPERATOR':
    'An update could go neither on nor back, so a person has to look. Its log says where it stopped: netlink update log',
  'E-NO-ADMIN': 'netlink-admin is not on the PATH of this machine. Install it, or run the command where it is.',
  'E-NO-CHANGELOG': 'There is no changelog for what was asked. Look for releases first: netlink update check',
  'E-NO-ROLLBACK': 'There is no earlier version on this host to go back to. Choose one from the history, or downgrade.',
  'E-NO-ROOT':
    'Without a trusted root nothing can be verified. Enrol this host with the root file, or the root’s fingerprint.',
  'E-NO-SERVICE':
    'The installed release runs no service that could be controlled. See netlink update version --detailed',
  'E-NO-SPACE': 'The disk is full. Make room and run the command again; nothing half-written is used.',
  'E-NO-TOPIC': 'There is no help under this name. netlink help lists what there is.',
  'E-NO-UPDATE': 'No update of this id is known on this host. netlink update history lists them.',
  'E-NOT-DELEGATED':
    'A file is listed by a role that may not list it. It was not used; the publisher has to sign it with the right role.',
  'E-NOT-ENROLLED': 'This host does not know its server yet: netlink agent enroll',
  'E-NOT-FOUND': 'What was asked for is not there: a file, or something at the server. Check its name.',
  'E-NOTHING-KEPT':
    'With --offline only what this host has verified before is looked at, and that is not kept here, or is damaged. Run netlink update check without it once.',
  'E-NOT-IN-THIS-VERSION': 'The command is planned and not part of this version.',
  'E-NOT-NEWER':
    'The channel already holds this version or a later one. A version is published once: choose a greater one.',
  'E-NOT-PERMITTED':
    'This user may not do this here. On a host run it as root or as the user netlink; else check who owns the folder.',
  'E-NOT-READY':
    'A required check was not healthy in time after the start, so the old version runs again. The log has the answers of the checks.',
  'E-NOT-RUNNING': 'No update runs that could be stopped. netlink update history shows how the last one ended.',
  'E-NOT-SERVER':
    'The folder holds no server.yml, so no server was made there. Name another with --dir, or make one with init.',
  'E-NOT-YET-VALID': 'What was signed begins to be valid later. Check this machine’s clock first; otherwise wait.',
  'E-NOTHING-INSTALLED': 'Nothing is installed on this host yet. Install something: netlink update upgrade --latest',
  'E-NOTIFY-ONLY':
    'This host only tells of releases, and a person decides. Install it with: netlink update upgrade --to VERSION',
  'E-OFFSET':
    'A part of an upload does not continue where the upload stands. Run the same command again; it asks first.',
  'E-OTHER-ROOT':
    'The root that was given is none that this host trusted before, nor of the same chain. Look at netlink agent trust show; where the holders began anew, netlink agent trust reset takes their root with its fingerprint.',
  'E-PASSPHRASE': 'A keyring does not open with this passphrase. Check whose keyring and whose passphrase was named.',
  'E-PAUSED':
    'The fleet’s brake is on, so no automatic update starts. It is taken off with: netlink-admin resume --reason WHY',
  'E-POLICY': 'A rule forbids it, and the rule has a long flag of its own to skip it. The hint names the flag.',
  'E-PORT-IN-USE': 'Another program listens on this port. Stop it, or choose another port with --listen.',
  'E-QUARANTINED':
    'This version failed here before, or was left by a rollback. Name it with --to if it should be tried again.',
  'E-RANGE-NOT-SATISFIABLE': 'The part that was asked for lies behind the file’s end. Ask for the whole file.',
  'E-RATE-LIMITED': 'Too many requests came in a short time. Wait as long as the answer says and try again.',
  'E-REDIRECT': 'The server sends elsewhere, and that is never followed. Configure the address that it really has.',
  'E-REFUSED': 'It was understood and verified, and still goes against a rule of the repository; the title says which.',
  'E-ROLE':
    'Signed metadata of one role came in the place of another. It was not used; try again later and tell the publisher.',
  'E-ROLLBACK':
    'The repository shows something older than this host has already seen. Either an old backup was restored on the server, or somebody replays old files.',
  'E-ROOTS': 'More new roots wait than one refresh follows. Look again; each look follows more of them.',
  'E-SCHEMA-ALTERED':
    'A migration that ran is not the one in these files. Use the program that the database was made with.',
  'E-SCHEMA-NEWER': 'A newer program has changed the database. Use that program, or a newer one.',
  'E-SCHEMA-PENDING': 'The database lacks migrations of this program. Make a backup, then: netlink-server migrate up',
  'E-SELF-TEST': 'The new version failed its own test, so it was not kept. The update’s log has its last lines.',
  'E-SERVER':
    'The server refused what was sent; the title has its words. Look at the server’s log if they do not help.',
  'E-SERVICE': 'The service could not be started or stopped. Look at netlink service status and at its log.',
  'E-SERVICE-BAD-ENVIRONMENT':
    'app.env is broken or lacks a value that the service asks for. Correct it and start again.',
  'E-SERVICE-NO-SUPERVISOR':
    'What watches over the service could not be reached or started. Look at its log, then start the service again.',
  'E-SERVICE-NOT-STARTABLE':
    'The service’s program or folder is missing or may not be run. netlink update verify tells whether files changed.',
  'E-SERVICE-NOT-STOPPABLE':
    'The service is still there after it was killed. Its process hangs in the system; look at the disk it waits for.',
  'E-SERVICE-SYSTEMD': 'systemd refused; the detail has its words. journalctl has more.',
  'E-SERVICE-UNDECIDED':
    'An update broke off and has to be recovered before the service is touched. The daemon does so when it starts.',
  'E-SIG-DUPLICATE':
    'A document carries two signatures of one key, and one key counts once. The publisher has to sign it anew.',
  'E-SIG-THRESHOLD':
    'Fewer people have signed than must. Nothing of it is used. The publisher has to ask another key holder; a host can only wait.',
  'E-SIGNER-BAD-OUTPUT':
    'The program that signs for a holder wrote something else than a signature in hexadecimal. Run it by hand, and look at what it prints on stdout.',
  'E-SIGNER-NO-KEY':
    'The token has no key of this label or id, or more than one. List what it holds with pkcs11-tool --list-objects, and correct the holder’s signers file.',
  'E-SIGNER-NO-TOKEN':
    'The token or its PKCS#11 module is not there. Plug it in, or correct the module, label or serial number in the holder’s signers file.',
  'E-SIGNER-NOT-HERE':
    'Of this key only the public half is on this machine. Let its holder sign where the secret is, or import a program or token that signs.',
  'E-SIGNER-PROGRAM-FAILED':
    'The program that signs for a holder ended with an error; what it said is shown. Nothing was signed.',
  'E-SIGNER-PROGRAM-MISSING':
    'The program that signs for a holder is not there, or may not be run. Correct its path in the holder’s signers file; pkcs11-tool comes with the package opensc.',
  'E-SIGNER-TIMEOUT':
    'The program that signs for a holder did not answer in time and was ended. Perhaps it waits for a touch or a PIN; timeout_s in the signers file allows more.',
  'E-SIGNER-TOO-LONG':
    'Some versions of pkcs11-tool pass no more than 1,024 bytes on for an Ed25519 signature. Use a P-256 key in the token, or a program of your own.',
  'E-SIGNER-WRITABLE-BY-OTHERS':
    'The holder’s signers file says what is run on this machine, and others may change it. Look at what it says, then: chmod 600 FILE',
  'E-SIGNER-WRONG-PIN':
    'The token refused the PIN. Check it before you try again: most tokens lock themselves after a few wrong ones.',
  'E-SIGNER-WRONG-SIGNATURE':
    'What came back is no signature of this document by the registered key. Check which key the program or token uses: netlink-publish keys check HOLDER',
  'E-SOAK': 'This host waits until a release was out for a while (automatic.minimum_soak). Wait, or install by hand.',
  'E-STALE-PLAN': 'The host is no longer as it was when the update was planned. Run the command again; it plans anew.',
  'E-TIMEOUT':
    'The server does not answer in time. Check the network and whether the server is overloaded, then try again.',
  'E-TOKEN':
    'The enrolment token is not accepted: used up, expired, revoked or mistyped. Make a new one on the server.',
  'E-TOO-LARGE': 'More came than any good request or answer has. Nothing of it was used.',
  'E-TOO-SLOW':
    'The bytes come too slowly to go on waiting. Check the network and try again; a download goes on where it stands.',
  'E-UNAUTHENTICATED': 'The token is missing, unknown, expired or revoked. Give a good one with --token-file.',
  'E-UNAVAILABLE':
    'The server’s database or storage does not answer. Try again soon; on the server: netlink-server doctor',
  'E-UNCONFIRMED':
    'A change has to be confirmed, and nobody was there to ask. Say --yes; what changes who may sign wants y at a terminal.',
  'E-UNDECIDED':
    'An update broke off and has to be recovered first. The daemon does so when it starts; see netlink update status',
  'E-UNEXPECTED': 'A mistake in the program itself. Keep what it printed and tell those who look after it.',
  'E-UNHEALTHY':
    'The running version is not healthy, so a failure of the new one could not be told. Mend it first, or add --force.',
  'E-UNKNOWN-COMMAND': 'There is no such command here. --help lists what there is.',
  'E-UNKNOWN-OPTION': 'The command has no such option. --help lists its options.',
  'E-UNKNOWN-VERSION': 'Nothing is published or waiting under this version. netlink-publish list shows what there is.',
  'E-UNREACHABLE':
    'The server can’t be reached. What is installed goes on running; check the address and the network, and try again.',
  'E-UNSTABLE':
    'The new version was healthy at first and not for long, so the old one runs again. The log has the answers of the checks.',
  'E-UNSUPPORTED-MEDIA-TYPE': 'The server reads JSON only. Send content-type: application/json.',
  'E-UNVERIFIED': 'Signed documents do not verify. Nothing of them is used; the detail names the check that failed.',
  'E-UPGRADE-REQUIRED': 'This address is for WebSockets only. Look at what stands between here and the server.',
  'E-USAGE': 'The command was not written as it has to be. --help shows its words and options.',
  'E-VERIFY': 'Installed files are not the ones that were signed. Install a version again, or go back.',
  'E-VERSION': 'A file is not of the version that was announced. Try again; a cache may answer with an old one.',
  'E-WINDOW-CLOSED': 'Automatic updates start in this host’s time window only. Wait, or install by hand.',
  'E-WITHDRAWN': 'The publisher has withdrawn this version. Choose another one.',
  'E-WORKER':
    'The process that runs an update ended without an answer. The status tells what state the host is in: netlink update status',
}

/** What a code means and what mostly helps, or undefined if nobody knows it. */
export function errorTopic(code: string): string | undefined {
  return Object.hasOwn(TOPICS, code) ? TOPICS[code] : undefined
}

/** Every code with a text. */
export const errorCodes: readonly string[] = Object.keys(TOPICS)
