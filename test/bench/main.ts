// `npm run bench [NAME…]`: what this costs, as ratios against a peer or a limit measured in the same run. Exit 1 if a goal is missed.
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { stopAll } from '../world/programs.ts'
import { announce } from './announce.ts'
import { downtime } from './downtime.ts'
import { type Figure, printFigure } from './figure.ts'
import { idle } from './idle.ts'
import { install } from './install.ts'
import { refresh } from './refresh.ts'
import { startUp } from './start-up.ts'

const benches: Record<string, (folder: string) => Promise<Figure[]>> = {
  'start-up': startUp,
  idle,
  install,
  downtime,
  announce,
  refresh,
}
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}

console.log(
  `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB\n`,
)
const figures: Figure[] = []
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const folder = await mkdtemp(join(tmpdir(), `netlink-bench-${name}-`))
  try {
    for (const figure of await bench(folder)) {
      figures.push(figure)
      printFigure(figure)
    }
  } finally {
    await stopAll()
    await rm(folder, { recursive: true, force: true })
  }
}
const missed = figures.filter((figure) => !figure.held)
console.log(`\n${figures.length - missed.length} of ${figures.length} goals held`)
process.exit(missed.length === 0 ? 0 : 1)
