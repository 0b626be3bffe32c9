import { describe, expect, it, test } from 'vitest'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseVersion } from '../../schema/version.ts'
import { applyInstalled, emptyVersionJson, parseVersionJson } from '../../schema/version-json.ts'

/** The user's specification, "Version Configuration", word for word. */
const VERBATIM = `{
  "current_version": "0a1",
  "last_updated": "2024-12-19T00:00:00Z",
  "history": [
    {
      "version": "0a1",
      "release_date": "2024-12-19T00:00:00Z",
      "status": "development",
      "migration_required": true,
      "database_version": "0a1",
      "config_version": "0a1"
    }
  ]
}
`
const installed = (version: string, day: string) => ({
  version: parseVersion(version),
  installedAt: `2026-11-${day}T10:00:00Z`,
  releasedAt: '2026-11-01T00:00:00Z',
  migrationRequired: false,
  databaseVersion: '7',
  configVersion: null,
})

describe('version.json', () => {
  it('loads as the specification shows it', () => {
    expect(parseVersionJson(JSON.parse(VERBATIM), 'version.json')).toEqual(JSON.parse(VERBATIM))
  })

  it('knows no version before the first installation', () => {
    expect(parseVersionJson(emptyVersionJson, 'version.json')).toEqual({
      current_version: null,
      last_updated: null,
      history: [],
    })
  })

  test.each([
    ['{"current_version": "1.2.3", "last_updated": null, "history": []}', '/current_version'],
    ['{"current_version": null, "last_updated": "yesterday", "history": []}', '/last_updated'],
    ['{"current_version": null, "last_updated": null}', '/history'],
    ['[]', ''],
  ])('is refused: %s', (json, pointer) => {
    const refused = () => parseVersionJson(JSON.parse(json), 'version.json')
    expect(refused).toThrow(ShapeError)
    expect(refused).toThrow(
      expect.objectContaining({
        subject: 'version.json',
        issues: expect.arrayContaining([expect.objectContaining({ pointer })]),
      }),
    )
  })
})

describe('what was installed', () => {
  it('is the current version and the last of the history', () => {
    const first = applyInstalled(emptyVersionJson, installed('0a1', '20'))
    const next = applyInstalled(first, { ...installed('0b1', '21'), migrationRequired: true })
    expect(next).toEqual({
      current_version: '0b1',
      last_updated: '2026-11-21T10:00:00Z',
      history: [
        {
          version: '0a1',
          release_date: '2026-11-01T00:00:00Z',
          status: 'development',
          migration_required: false,
          database_version: '7',
          config_version: null,
        },
        {
          version: '0b1',
          release_date: '2026-11-01T00:00:00Z',
          status: 'testing',
          migration_required: true,
          database_version: '7',
          config_version: null,
        },
      ],
    })
    expect(parseVersionJson(next, 'version.json')).toEqual(next)
    expect(emptyVersionJson.history).toEqual([])
  })

  it('stands there once, however often one goes back to it', () => {
    const document = ['0r1', '0r2', '0r1'].reduce(
      (last, version) => applyInstalled(last, installed(version, '22')),
      emptyVersionJson,
    )
    expect(document.current_version).toBe('0r1')
    expect(document.history.map(({ version }) => version)).toEqual(['0r2', '0r1'])
  })

  it('keeps what a newer program wrote beside it', () => {
    const document = parseVersionJson({ ...emptyVersionJson, note: 'x' }, 'version.json')
    expect(applyInstalled(document, installed('0r1', '22'))).toMatchObject({ note: 'x' })
  })
})
