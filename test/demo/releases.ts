// The releases of the demo: esbuild, a real program that nobody here wrote, serving a page that says which version it is.
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

export interface DemoRelease {
  /** Folder to publish from. */
  readonly folder: string
  /** esbuild's own version, as its binary reports it. */
  readonly program: string
}

interface Recipe {
  readonly name: string
  /** Alias in package.json: `esbuild-1`, `esbuild-2`, `esbuild-3`. */
  readonly alias: string
  readonly changes: readonly { type: 'added' | 'changed' | 'fixed' | 'security'; text: string }[]
  readonly summary: string
  /** The page that the health check asks for is left out: what a careless engineer publishes. */
  readonly forgetHealthPage?: boolean
}

/** Writes one release folder: binary, page, release.json. */
export async function writeRelease(below: string, recipe: Recipe): Promise<DemoRelease> {
  const folder = join(below, recipe.name)
  const { binary, version } = findEsbuild(recipe.alias)
  await mkdir(join(folder, 'bin'), { recursive: true })
  await mkdir(join(folder, 'www'))
  await cp(binary, join(folder, 'bin', 'esbuild'))
  await writeFile(
    join(folder, 'www', 'index.html'),
    `<!doctype html><title>${recipe.name}</title><p>served by esbuild ${version}\n`,
  )
  if (!recipe.forgetHealthPage) await writeFile(join(folder, 'www', 'healthy.txt'), `esbuild ${version}\n`)
  await writeFile(join(folder, 'release.json'), `${JSON.stringify(releaseJson(recipe), null, 2)}\n`)
  return { folder, program: version }
}

function releaseJson(recipe: Recipe): object {
  return {
    schema: 'netlink.release/v1',
    platform: `${process.platform}-${process.arch}`,
    service: {
      argv: ['./bin/esbuild', '--serve=127.0.0.1:${PORT}', '--servedir=www', '--watch=forever'],
      ready_ms: 2000,
      stability_ms: 500,
      health_checks: [
        {
          type: 'http',
          name: 'page',
          url: 'http://127.0.0.1:${PORT}/healthy.txt',
          interval_ms: 100,
          timeout_ms: 1000,
          failure_threshold: 5,
        },
      ],
    },
    changelog: { summary: recipe.summary, entries: recipe.changes },
  }
}

/** The binary comes with esbuild's own optional dependency for this platform; no install script has to run. */
function findEsbuild(alias: string): { binary: string; version: string } {
  const manifest = require.resolve(`${alias}/package.json`)
  const platform = createRequire(manifest).resolve(`@esbuild/${process.platform}-${process.arch}/package.json`)
  return { binary: join(dirname(platform), 'bin', 'esbuild'), version: require(manifest).version }
}
