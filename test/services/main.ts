// Starts the real services that are installed here, runs a command with their addresses in its environment, and stops them:
//
//   node test/services/main.ts npm test
//
// NETLINK_TEST_POSTGRES = postgres://user@host:port/database      NETLINK_TEST_S3 = http://access:secret@host:port/bucket
import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPostgres, startPostgres } from './postgres.ts'
import { findSwift, startSwift } from './swift.ts'

const [command, ...args] = process.argv.slice(2)
if (!command) {
  console.error('usage: node test/services/main.ts COMMAND [ARGUMENT]…')
  process.exit(2)
}

const folder = await mkdtemp(join(tmpdir(), 'netlink-services-'))
const stops: (() => Promise<void>)[] = []
const env: NodeJS.ProcessEnv = { ...process.env }
let status = 1
try {
  const bin = findPostgres()
  if (bin) {
    const server = await startPostgres(bin, await below('postgres'))
    stops.push(server.stop)
    env.NETLINK_TEST_POSTGRES = server.url
    console.error(`services: PostgreSQL from ${bin}`)
  } else console.error('services: no PostgreSQL server is installed; its tests will be skipped')
  if (await findSwift()) {
    const server = await startSwift(await below('swift'))
    stops.push(server.stop)
    env.NETLINK_TEST_S3 = server.url
    console.error('services: S3 from OpenStack Swift')
  } else console.error('services: no Swift is installed; the tests of real S3 will be skipped')
  status = await new Promise<number>((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env })
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
} finally {
  await Promise.all(stops.map((stop) => stop()))
  await rm(folder, { recursive: true, force: true })
}
process.exit(status)

async function below(name: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(path)
  if (process.getuid?.() === 0) await chmod(folder, 0o755) // PostgreSQL runs as another user then
  return path
}
