// A process that holds many agents' sessions at once: each with a key, a folder, a socket and a trust store of its own, over the agent's
// own code. Started by announce.ts:  node agents.ts FOLDER SERVER FIRST COUNT
// Says `ready`, then a line for each hint that an agent has followed to its end: milliseconds since 1970.
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { enrol } from '../../agent/enrolling.ts'
import { signStatement } from '../../agent/enrolment.ts'
import { buildFetcher, type Host, openHost } from '../../agent/host.ts'
import { buildMachine } from '../../agent/machine.ts'
import { buildAgentSocket, socketUrlOf } from '../../agent/report/socket.ts'
import { withTrust } from '../../agent/trust.ts'

const [folder = '', server = '', first = '0', count = '0'] = process.argv.slice(2)
const token = (await readFile(join(folder, 'enroll.token'), 'utf8')).trim()
const root = await readFile(join(folder, 'pub', 'root.json'))
process.on('SIGTERM', () => process.exit(0))
/** As the daemon spreads its first request after a hint. */
const SPREAD_MS = 150

const hosts: Host[] = []
for (let index = Number(first); index < Number(first) + Number(count); index++) hosts.push(await enrolOne(index))
await Promise.all(hosts.map(connect))
process.stdout.write('ready\n')

async function enrolOne(index: number): Promise<Host> {
  const home = join(folder, 'sessions', String(index))
  await mkdir(home, { recursive: true })
  const machine = buildMachine(
    { ...process, env: { ...process.env, NETLINK_HOME: home }, cwd: () => home },
    Math.random,
    'bench',
  )
  await enrol(machine, buildFetcher(machine, { ca: undefined, insecureHttp: false }), {
    server,
    token,
    root: { kind: 'file', file: 'root.json', bytes: root },
    name: `session-${index}`,
    channel: 'alpha',
    group: null,
    labels: {},
    ca: undefined,
    insecureHttp: false,
    service: { control: 'none', unit: 'none.service' },
  })
  return openHost(machine)
}

/** Connects, and resolves when the server has welcomed this agent and its first refresh is done. */
function connect(host: Host): Promise<void> {
  return new Promise((resolve) => {
    const look = () => withTrust(host.trust, 'refresh', (view) => view.loadListing('alpha'))
    const socket = buildAgentSocket(
      {
        url: socketUrlOf(server),
        hostId: host.enrolment.host_id,
        agentVersion: host.facts.agentVersion,
        sign: (statement) => signStatement(host.key, statement),
        ca: undefined,
        clock: host.clock,
        random: Math.random,
        log: () => undefined,
      },
      {
        onWelcome: () => void look().then(() => resolve()),
        onHint: () =>
          void pause(Math.random() * SPREAD_MS)
            .then(look)
            .then(() => process.stdout.write(`${performance.timeOrigin + performance.now()}\n`)),
        onBrake: () => undefined,
        onAssignment: () => undefined,
        onAck: () => undefined,
        onUnknown: () => undefined,
        onClosed: () => undefined,
      },
    )
    void socket.run(new AbortController().signal)
  })
}
