// The tests that a mutation run asks: those of the rules that decide what is trusted and what is installed.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/keys/**/*.test.ts', 'test/schema/**/*.test.ts', 'test/agent/decide*.test.ts'],
    // Processes and gigabytes: what they show is shown for the rules by the others.
    exclude: ['test/keys/attacks-on-stores.test.ts'],
    pool: 'threads',
  },
})
