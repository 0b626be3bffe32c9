// `npm test`: everything that needs nothing but the registry, under five minutes on two cores. What needs a PostgreSQL server, S3 or the
// public TUF suite finds it through the environment (NETLINK_TEST_POSTGRES, NETLINK_TEST_S3, TUF_CONFORMANCE and PYTHON) or says in
// one line that it was skipped. Arguments go to vitest: `npm test -- test/keys`. The last line says how many passed.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'netlink-test-'))
const report = join(folder, 'report.json')
const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs')
const child = spawn(
  process.execPath,
  [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)],
  { stdio: 'inherit', env: { ...process.env, NODE_ENV: 'test' } },
)

child.on('exit', (code) => {
  const counts = readCounts()
  rmSync(folder, { recursive: true, force: true })
  if (!counts) {
    console.error('no test was run')
    process.exit(code || 1)
  }
  console.log(`${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${counts.numPendingTests} skipped`)
  process.exit(code ?? 1)
})

function readCounts(): { numPassedTests: number; numFailedTests: number; numPendingTests: number } | undefined {
  try {
    return JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return undefined
  }
}
