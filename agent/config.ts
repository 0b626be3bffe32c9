// Where this host's settings come from: flag, environment, file, default, in this order. Cheap to import: the file itself is read by update-yml.ts.
import type { ProxySettings } from '../keys/platform/fetch.ts'
import { buildPaths, type Paths } from './paths.ts'

/** What the environment says. Empty text counts as not said. */
export interface Environment {
  readonly cwd: string
  /** NETLINK_HOME: everything below one folder. */
  readonly home: string | undefined
  /** NETLINK_SERVER: where to enrol. */
  readonly server: string | undefined
  /** NETLINK_TOKEN: an enrolment token; a file is better. */
  readonly token: string | undefined
  /** NETLINK_CONFIG: another update.yml. */
  readonly configFile: string | undefined
  readonly proxy: ProxySettings
  readonly hasColor: boolean
  readonly user: string
}

/** Reads the environment once. */
export function readEnvironment(env: NodeJS.ProcessEnv, cwd: string): Environment {
  const text = (name: string) => env[name] || undefined
  return {
    cwd,
    home: text('NETLINK_HOME'),
    server: text('NETLINK_SERVER'),
    token: text('NETLINK_TOKEN'),
    configFile: text('NETLINK_CONFIG'),
    proxy: {
      HTTPS_PROXY: text('HTTPS_PROXY') ?? text('https_proxy'),
      HTTP_PROXY: text('http_proxy'),
      NO_PROXY: text('NO_PROXY') ?? text('no_proxy'),
    },
    hasColor: env.NO_COLOR === undefined || env.NO_COLOR === '',
    user: text('USER') ?? text('LOGNAME') ?? 'unknown',
  }
}

/** The layout of this host. */
export function pathsOf(environment: Environment): Paths {
  return buildPaths({ home: environment.home, cwd: environment.cwd })
}

/** Files of the agent itself, beside those of the engine in `paths.ts`. */
export interface AgentFiles {
  /** Who this host is and which server it follows: `enrolment.ts`. */
  readonly enrolment: string
  /** The host's Ed25519 secret, 0600. */
  readonly key: string
  /** Where earlier builds kept the server's certificate authority; read for their hosts, never written. */
  readonly ca: string
  /** Set by `netlink update hold`. */
  readonly hold: string
  /** What the last check found: `check-record.ts`. */
  readonly check: string
  /** The fleet's brake as the server last said. */
  readonly brake: string
  /** What the server's director directs this host to, the greatest number seen, authorisations that were used: `assignment-state.ts`. */
  readonly assignment: string
  /** There while the server says that it does not know this host: `standing.ts`. */
  readonly standing: string
  /** What came over the socket as an assignment: not verified. */
  readonly assignmentOffered: string
  /** When each offered version was first seen. */
  readonly offers: string
  /** Reports on their way to the server. */
  readonly outbox: string
  readonly outboxLock: string
  /** Held by the running daemon. */
  readonly daemonLock: string
  /** 0700; holds the daemon's socket, or says where it is if this path would be too long for one. */
  readonly run: string
}

/** The agent's own files below the state folder. */
export function agentFilesOf(paths: Paths): AgentFiles {
  const file = (name: string) => `${paths.state}/${name}`
  return {
    enrolment: file('agent.json'),
    key: file('host.key'),
    ca: file('ca.pem'),
    hold: file('hold.json'),
    check: file('check.json'),
    brake: file('brake.json'),
    standing: file('standing.json'),
    assignment: file('assignment.json'),
    assignmentOffered: file('assignment-offered.json'),
    offers: file('offers.json'),
    outbox: file('outbox.json'),
    outboxLock: `${paths.locks}/outbox`,
    daemonLock: `${paths.locks}/daemon`,
    run: file('run'),
  }
}
