import { mergeChangelogs } from '../../../schema/changelog-merge.ts'
import { changelogJson, changelogMarkdown, changelogText, type Withdrawn } from '../../../schema/changelog-text.ts'
import { EXIT, type ExitCode } from '../../../schema/cli/exit-code.ts'
import { pageShape, releaseDetailShape, releaseShape } from '../../../schema/rest.ts'
import type { CommandContext } from '../context.ts'
import { usageFailure } from '../failures.ts'
import { noteMore, type PageOptions } from '../paging.ts'
import { renderRelease, renderReleaseList } from '../release-pages.ts'

export async function listReleases(
  { client, output }: CommandContext,
  options: PageOptions & { readonly channel?: string },
): Promise<ExitCode> {
  const page = await client.ask('GET', '/releases', pageShape(releaseShape), { query: { ...options } })
  output.answer('netlink.releases.list/v1', page, renderReleaseList(page.items, output.style))
  if (page.items.length === 0) output.note('Nothing is published yet.')
  noteMore(output, page)
  return EXIT.ok
}

export async function showRelease({ client, output }: CommandContext, version: string): Promise<ExitCode> {
  const release = await client.ask('GET', `/releases/${encodeURIComponent(version)}`, releaseDetailShape)
  output.answer('netlink.releases.show/v1', release, renderRelease(release, output.style))
  return EXIT.ok
}

const formats = ['text', 'markdown', 'json'] as const

export async function showChangelog(
  { client, output }: CommandContext,
  version: string,
  options: { readonly format: string },
): Promise<ExitCode> {
  const format = formats.find((one) => one === options.format)
  if (!format) {
    throw usageFailure(
      `there is no format ${JSON.stringify(options.format)}`,
      `expected one of ${formats.join(', ')}`,
      [`netlink-admin releases changelog ${version} --format text`],
    )
  }
  const release = await client.ask('GET', `/releases/${encodeURIComponent(version)}`, releaseDetailShape)
  const merged = mergeChangelogs([release.changelog])
  const withdrawn: Withdrawn = new Map(release.withdrawn ? [[release.version, release.withdrawn]] : [])
  if (output.json || format === 'json') {
    output.raw(
      JSON.stringify(
        { schema: 'netlink.releases.changelog/v1', ok: true, ...changelogJson(merged, withdrawn) },
        null,
        2,
      ),
    )
  } else {
    output.raw(
      format === 'markdown' ? changelogMarkdown(merged, withdrawn) : changelogText(merged, withdrawn, output.style),
    )
  }
  return EXIT.ok
}
