import { describe, expect, it, test } from 'vitest'
import { parse } from 'yaml'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseUpdateYml, updateYmlDefaults } from '../../schema/update-yml.ts'
import { SPECIFIED } from './specified-update-yml.ts'

const read = (yaml: string) => parseUpdateYml(parse(yaml), 'config/update.yml')

describe('update.yml', () => {
  it('loads as the specification shows it', () => {
    expect(read(SPECIFIED)).toEqual({
      backup: { enabled: true, directory: 'backups/updates', encryption: true, retention_days: 30 },
      behavior: { auto_backup: true, auto_restart: true, maintenance_mode: true, cluster_coordination: true },
      safety: {
        require_confirmation: true,
        validate_migrations: true,
        test_after_update: true,
        rollback_on_failure: true,
      },
      clustering: { enabled: true, coordination_timeout_ms: 300_000, rolling_updates: true, max_concurrent_nodes: 1 },
      automatic: {
        mode: 'notify',
        window: { kind: 'always' },
        min_remaining_ms: 600_000,
        jitter_ms: 900_000,
        minimum_soak_ms: 0,
      },
      refresh: { interval_ms: 900_000 },
    })
  })

  it.each([
    ['an empty file', ''],
    ['only comments', '# nothing yet\n'],
    ['an empty object', '{}'],
    ['an empty system', 'update_system:\n'],
    ['empty groups', 'update_system:\n  backup:\n    # enabled: false\n  automatic:\n'],
    ['all defaults written out', JSON.stringify({ update_system: updateYmlDefaults })],
  ])('of %s is all defaults, which are the specification', (_what, yaml) => {
    expect(read(yaml)).toEqual(read(SPECIFIED))
  })

  it('reads what the site says, and keeps the rest', () => {
    const config = read(`
update_system:
  backup: { retention_days: 7 }
  clustering: { coordination_timeout: 5m }
  automatic:
    mode: auto
    window: Mon-Fri 22:00-04:00 Europe/Prague
    jitter: 30s
  refresh: { interval: 1h }
`)
    expect(config.backup).toEqual({ enabled: true, directory: 'backups/updates', encryption: true, retention_days: 7 })
    expect(config.clustering.coordination_timeout_ms).toBe(300_000)
    expect(config.automatic).toEqual({
      mode: 'auto',
      window: {
        kind: 'weekly',
        spans: [{ days: [0, 1, 2, 3, 4], startMinute: 1320, endMinute: 240, zone: 'Europe/Prague' }],
      },
      min_remaining_ms: 600_000,
      jitter_ms: 30_000,
      minimum_soak_ms: 0,
    })
    expect(config.refresh.interval_ms).toBe(3_600_000)
  })

  it('takes `mode: off` as the word, as YAML 1.2 reads it', () => {
    expect(read('update_system: { automatic: { mode: off } }').automatic.mode).toBe('off')
  })

  test.each([
    [
      'update_system: { backup: { retention_day: 30 } }',
      '/update_system/backup/retention_day',
      'unknown key "retention_day"; did you mean "retention_days"?',
    ],
    ['update_sytem: {}', '/update_sytem', 'unknown key "update_sytem"; did you mean "update_system"?'],
    ['backup: {}', '/backup', 'unknown key "backup"; possible here: update_system'],
    [
      'update_system: { automtic: { mode: auto } }',
      '/update_system/automtic',
      'unknown key "automtic"; did you mean "automatic"?',
    ],
    [
      'update_system: { automatic: { windows: always } }',
      '/update_system/automatic/windows',
      'unknown key "windows"; did you mean "window"?',
    ],
    [
      'update_system: { automatic: { mode: yes } }',
      '/update_system/automatic/mode',
      'expected one of "off"|"notify"|"auto"',
    ],
    [
      'update_system: { automatic: { window: nights } }',
      '/update_system/automatic/window',
      'expected "always" or spans such as "Mon-Fri 22:00-04:00 Europe/Prague"',
    ],
    [
      'update_system: { automatic: { window: "22:00" } }',
      '/update_system/automatic/window',
      'expected "always" or spans such as "Mon-Fri 22:00-04:00 Europe/Prague"',
    ],
    [
      'update_system: { automatic: { window: "03:00-03:05" } }',
      '/update_system/automatic/window',
      'every span is shorter than min_remaining: no automatic update could ever start',
    ],
    ['update_system: { automatic: { jitter: 5 } }', '/update_system/automatic/jitter', 'expected string, not number'],
    [
      'update_system: { automatic: { jitter: "10" } }',
      '/update_system/automatic/jitter',
      'expected a duration such as 30s, 5m, 24h or 7d',
    ],
    [
      'update_system: { automatic: { jitter: soon } }',
      '/update_system/automatic/jitter',
      'expected a duration such as 30s, 5m, 24h or 7d',
    ],
    ['update_system: { automatic: { jitter: 8d } }', '/update_system/automatic/jitter', 'expected at most 7d'],
    ['update_system: { refresh: { interval: 0s } }', '/update_system/refresh/interval', 'expected from 1s to 7d'],
    [
      'update_system: { backup: { directory: "" } }',
      '/update_system/backup/directory',
      'too small: expected string to have >=1 characters',
    ],
    [
      'update_system: { backup: { retention_days: null } }',
      '/update_system/backup/retention_days',
      'expected number, not null',
    ],
    ['[]', '', 'expected object, not array'],
    ['update_system: 3', '/update_system', 'expected object, not number'],
  ])('refuses %s', (yaml, pointer, message) => {
    expect(() => read(yaml)).toThrow(
      expect.objectContaining({ name: 'ShapeError', subject: 'config/update.yml', issues: [{ pointer, message }] }),
    )
    expect(() => read(yaml)).toThrow(ShapeError)
  })
})
