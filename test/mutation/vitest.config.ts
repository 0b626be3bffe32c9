// The tests that a mutation run asks: those of the rules that decide what is trusted and what is installed.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/keys/**/*.test.ts', 'test/schema/**/*.test.ts', 'test/agent/decide*.test.ts'],
    pool: 'threads',
  },
})
