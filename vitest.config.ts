import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// Where the programs keep it too (keys/platform/launch.cjs); the processes of tests inherit it.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules', '.cache', 'netlink')

/** Tests of rules without a world around them: they may share a process. */
const RULES = ['test/schema/**/*.test.ts', 'test/keys/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    // One process after another file: helper modules are loaded once and may not have hooks of their own at their top.
    isolate: false,
    maxWorkers: 2,
    globalSetup: 'test/temporary-folder.ts',
    // Node reads the sources as it does for users, and keeps what it compiled; nothing is mocked, so nothing has to be rewritten.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Whole worlds of processes on two busy cores: in CI a story may be told twice, and the report says that it was.
    retry: process.env.CI ? 1 : 0,
    projects: [
      { extends: true, test: { name: 'rules', include: RULES } },
      {
        extends: true,
        test: {
          name: 'world',
          include: ['test/**/*.test.ts'],
          exclude: RULES,
          // The embedded database lives for a second in most tests: compiling it well takes longer than it runs.
          execArgv: ['--liftoff-only'],
        },
      },
    ],
  },
})
