import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe } from 'vitest'
import { createSimDisk } from '../sim/disk.ts'
import { makeHostFolder } from './host-folder.ts'
import { describeServiceContract } from './service-contract.ts'
import { paths as simPaths } from './sim-host.ts'
import { createSimService } from './sim-service.ts'

const APP = `
import { existsSync, rmSync } from 'node:fs'
const order = process.env.NETLINK_DATA_DIR + '/crash'
setInterval(() => {
  if (!existsSync(order)) return
  rmSync(order)
  console.log('out of cheese')
  process.exit(3)
}, 20)
`

describe('service control in memory', () => {
  describeServiceContract(async () => {
    const disk = createSimDisk({ files: { [join(simPaths.state, 'x')]: '' } })
    const control = createSimService(disk, simPaths)
    return {
      control,
      define: async (generation) => ({
        generation,
        version: `0a${generation}`,
        argv: ['./app'],
        env: {},
        cwd: '/',
        stopSignal: 'SIGTERM',
        stopTimeoutMs: 1000,
      }),
      crash: async (line) => control.crash([line]),
      mark: async (updateId) => {
        await disk.removeTree(simPaths.undecided)
        if (updateId === null) return
        const writer = await disk.createFile(simPaths.undecided, 0o600)
        await writer.write(Buffer.from(updateId))
        await writer.close()
      },
      close: async () => undefined,
    }
  })
})

describe('service control exec', () => {
  describeServiceContract(async () => {
    const host = await makeHostFolder()
    return {
      control: host.control,
      define: (generation) => host.layOut(generation, {}, { 'app.mjs': APP }),
      crash: () => writeFile(join(host.paths.data, 'crash'), ''),
      mark: (updateId) =>
        updateId === null ? rm(host.paths.undecided) : writeFile(host.paths.undecided, `${updateId}\n`),
      close: host.close,
    }
  })
})
