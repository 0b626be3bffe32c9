// A real S3 server in a folder: OpenStack Swift with its S3 interface, from Debian's packages (swift-proxy, swift-account, swift-container,
// swift-object, memcached). Signatures, ranges, multipart and presigned addresses are real; bucket policies, object locks and conditional
// puts it does not have.
import { mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './free-port.ts'
import { hasProgram, run, startServer, stopServer, until } from './process.ts'

export interface S3Server {
  /** `http://access:secret@host:port/bucket` */
  readonly url: string
  stop(): Promise<void>
}

const ACCESS = 'netlink:tester'
const SECRET = 'not-a-secret'
const RINGS = ['object', 'container', 'account'] as const

/** Whether every program that this needs is installed. */
export async function findSwift(): Promise<boolean> {
  const programs = [
    'swift-proxy-server',
    'swift-ring-builder',
    'swift-object-server',
    'swift-container-server',
    'swift-account-server',
    'memcached',
  ]
  return (await Promise.all(programs.map(hasProgram))).every(Boolean)
}

/** One replica, one device, five processes on loopback. */
export async function startSwift(folder: string): Promise<S3Server> {
  const port = await freePorts(5)
  const cache = port + 4
  const user = userInfo().username
  await mkdir(join(folder, 'srv', 'disk'), { recursive: true })
  await writeFile(join(folder, 'swift.conf'), ini({ 'swift-hash': { swift_hash_path_suffix: 'netlink-test' } }))
  for (const [index, ring] of RINGS.entries()) await writeRing(folder, ring, port + 1 + index, user)
  await writeFile(join(folder, 'proxy.conf'), proxyConfig(folder, port, cache, user))

  const env = { ...process.env, SWIFT_DIR: folder }
  const start = (command: string, args: string[], name: string) =>
    startServer(command, args, join(folder, `${name}.log`), env)
  const servers = [
    start('memcached', ['-u', user, '-l', '127.0.0.1', '-p', String(cache)], 'memcached'),
    ...RINGS.map((ring) => start(`swift-${ring}-server`, [join(folder, `${ring}.conf`)], ring)),
    start('swift-proxy-server', [join(folder, 'proxy.conf')], 'proxy'),
  ]
  await until('Swift', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/healthcheck`)
    if (!answer.ok) throw new Error(`healthcheck answers ${answer.status}`)
  })
  const [access, secret] = [ACCESS, SECRET].map(encodeURIComponent)
  return {
    url: `http://${access}:${secret}@127.0.0.1:${port}/netlink`,
    stop: async () => void (await Promise.all(servers.map((one) => stopServer(one)))),
  }
}

async function writeRing(folder: string, ring: string, port: number, user: string): Promise<void> {
  const builder = join(folder, `${ring}.builder`)
  await run('swift-ring-builder', [builder, 'create', '4', '1', '1'])
  await run('swift-ring-builder', [builder, 'add', `r1z1-127.0.0.1:${port}/disk`, '1'])
  await run('swift-ring-builder', [builder, 'rebalance'])
  const settings: Settings = {
    DEFAULT: {
      bind_ip: '127.0.0.1',
      bind_port: port,
      user,
      swift_dir: folder,
      devices: join(folder, 'srv'),
      mount_check: 'false',
      workers: 0,
    },
    'pipeline:main': { pipeline: `${ring}-server` },
    [`app:${ring}-server`]: { use: `egg:swift#${ring}` },
  }
  await writeFile(join(folder, `${ring}.conf`), ini(settings))
}

function proxyConfig(folder: string, port: number, cache: number, user: string): string {
  const filters = [
    'catch_errors',
    'gatekeeper',
    'healthcheck',
    'cache',
    'listing_formats',
    's3api',
    'tempauth',
    'copy',
    'slo',
    'dlo',
    'versioned_writes',
    'symlink',
  ]
  const options: Record<string, Record<string, string>> = {
    cache: { use: 'egg:swift#memcache', memcache_servers: `127.0.0.1:${cache}` },
    s3api: { use: 'egg:swift#s3api', location: 'us-east-1' },
    tempauth: { use: 'egg:swift#tempauth', [`user_${ACCESS.replace(':', '_')}`]: `${SECRET} .admin` },
    versioned_writes: { use: 'egg:swift#versioned_writes', allow_object_versioning: 'true' },
  }
  return ini({
    DEFAULT: { bind_ip: '127.0.0.1', bind_port: port, user, swift_dir: folder, workers: 0 },
    'pipeline:main': { pipeline: `${filters.join(' ')} proxy-server` },
    'app:proxy-server': { use: 'egg:swift#proxy', allow_account_management: 'true', account_autocreate: 'true' },
    ...Object.fromEntries(filters.map((name) => [`filter:${name}`, options[name] ?? { use: `egg:swift#${name}` }])),
  })
}

type Settings = Record<string, Record<string, string | number>>

function ini(sections: Settings): string {
  return Object.entries(sections)
    .map(
      ([name, values]) =>
        `[${name}]\n${Object.entries(values)
          .map(([key, value]) => `${key} = ${value}\n`)
          .join('')}`,
    )
    .join('\n')
}
