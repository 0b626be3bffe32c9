import { describe, expect, test } from 'vitest'
import { editUpdateYml, listSettings, readUpdateYml } from '../../agent/update-yml.ts'
import { ShapeError } from '../../schema/shape-error.ts'

/** The file as the specification prints it, comments included. */
const SEED = `# config/update.yml
update_system:
  # Backup settings
  backup:
    enabled: true
    directory: "backups/updates"
    encryption: true
    retention_days: 30
  
  # Update behavior
  behavior:
    auto_backup: true
    auto_restart: true
    maintenance_mode: true
    cluster_coordination: true
  
  # Safety settings
  safety:
    require_confirmation: true
    validate_migrations: true
    test_after_update: true
    rollback_on_failure: true
  
  # Clustering
  clustering:
    enabled: true
    coordination_timeout: 300
    rolling_updates: true
    max_concurrent_nodes: 1
`

describe('config/update.yml', () => {
  test('the specification’s own file says exactly the defaults', () => {
    expect(readUpdateYml(SEED)).toEqual(readUpdateYml(''))
    expect(readUpdateYml('')).toMatchObject({
      backup: { directory: 'backups/updates', retention_days: 30 },
      safety: { require_confirmation: true, rollback_on_failure: true },
      clustering: { coordination_timeout_ms: 300_000 },
      automatic: { mode: 'notify', window: { kind: 'always' } },
    })
  })

  test('what is written counts, the rest keeps its default', () => {
    const config = readUpdateYml('update_system:\n  automatic:\n    mode: auto\n    jitter: 0s\n')
    expect(config.automatic).toMatchObject({ mode: 'auto', jitter_ms: 0, window: { kind: 'always' } })
    expect(config.backup.enabled).toBe(true)
  })

  const refused: readonly [words: string, text: string, expected: RegExp][] = [
    ['a misspelt section names the right one', 'update_system:\n  automtic:\n    mode: auto\n', /automatic/],
    ['a misspelt key names the right one', 'update_system:\n  automatic:\n    windw: null\n', /window/],
    ['a misspelt top key names the right one', 'update_sytem: {}\n', /update_system/],
    ['a wrong mode', 'update_system: {automatic: {mode: always}}\n', /mode/],
    ['a duration without unit', 'update_system: {automatic: {jitter: "10"}}\n', /30s/],
    ['a window without end', 'update_system: {automatic: {window: "22:00"}}\n', /Europe\/Prague/],
    ['a key twice', 'update_system: {}\nupdate_system: {}\n', /unique/i],
    ['no YAML', 'update_system: [', /./],
    ['a list', '- 1\n', /./],
    ['an alias', 'update_system: &a\n  backup: *a\n', /./],
  ]
  test.each(refused)('%s', (_words, text, expected) => {
    expect(() => readUpdateYml(text)).toThrow(ShapeError)
    expect(() => readUpdateYml(text)).toThrow(expected)
  })
})

describe('setting one value', () => {
  test('changes one line of the file and keeps every other byte', () => {
    const edited = editUpdateYml(SEED, 'backup.retention_days', '7')
    expect(edited).toBe(SEED.replace('retention_days: 30', 'retention_days: 7'))
  })

  test.each([
    ['into an empty file', ''],
    ['into a file without the section', SEED],
    ['into a file that ends without a newline', SEED.trimEnd()],
    ['into a section without the key', 'update_system:\n  automatic:\n    jitter: 1m # ours\n'],
    ['over a key without a value', 'update_system:\n  automatic:\n    mode:\n'],
    ['over a quoted value with a comment', 'update_system:\n  automatic:\n    mode: "off" # for now\n'],
  ])('%s', (_words, before) => {
    if (before.includes('mode:\n')) expect(() => editUpdateYml(before, 'automatic.mode', 'auto')).toThrow(ShapeError)
    else {
      const after = editUpdateYml(before, 'automatic.mode', 'auto')
      expect(readUpdateYml(after).automatic.mode).toBe('auto')
      for (const line of before.split('\n').filter((one) => !one.includes('mode: "off"'))) expect(after).toContain(line)
      if (before.includes('# for now')) expect(after).toContain('mode: auto # for now')
    }
  })

  test('refuses unknown settings, naming the right one, and values that are none', () => {
    expect(() => editUpdateYml('', 'automatic.mod', 'auto')).toThrow(/automatic\.mode/)
    expect(() => editUpdateYml('', 'automatic.mode', 'always')).toThrow(ShapeError)
    expect(() => editUpdateYml('', 'automatic', '{}')).toThrow(ShapeError)
    expect(() => editUpdateYml('', 'automatic.mode', 'auto\nupdate_system: {}')).toThrow(ShapeError)
  })

  test('every setting can be set to what it is', () => {
    for (const [name, value] of listSettings()) {
      expect(readUpdateYml(editUpdateYml('', name, JSON.stringify(value)))).toEqual(readUpdateYml(''))
    }
  })
})
