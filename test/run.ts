// `npm test`: everything that needs nothing but the registry, under five minutes on two cores. What needs a PostgreSQL server, S3 or the
// public TUF suite finds it through the environment (NETLINK_TEST_POSTGRES, NETLINK_TEST_S3, TUF_CONFORMANCE and PYTHON) or says in
// one line that it was skipped. Arguments go to vitest: `npm test -- test/keys`. The last line says how many passed. A run of all tests fails
// too where an attack of the list (test/attacks) was held by no test that ran and passed.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findLacks } from './attacks/held.ts'

const folder = mkdtempSync(join(tmpdir(), 'netlink-test-'))
const report = join(folder, 'report.json')
const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs')
const child = spawn(
  process.execPath,
  [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)],
  { stdio: 'inherit', env: { ...process.env, NODE_ENV: 'test' } },
)

child.on('exit', (code) => {
  const counts = readReport()
  rmSync(folder, { recursive: true, force: true })
  if (!counts) {
    console.error('no test was run')
    process.exit(code || 1)
  }
  // Of some tests only, most of the list is not to be expected.
  const lacks = process.argv.length > 2 ? [] : findLacks(counts, import.meta.dirname)
  for (const { number, why } of lacks) console.error(`attack ${number}: ${why} (test/attacks/catalogue.ts)`)
  console.log(`${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${counts.numPendingTests} skipped`)
  process.exit(code || (lacks.length > 0 ? 1 : 0))
})

function readReport(): { numPassedTests: number; numFailedTests: number; numPendingTests: number } | undefined {
  try {
    return JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return undefined
  }
}
