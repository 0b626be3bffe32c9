import type { Output } from './output.ts'

export interface PageOptions {
  readonly limit?: number
  readonly cursor?: string
}

/** Says on stderr how to see the rest of a list. A program reads next_cursor. */
export function noteMore(output: Output, page: { readonly next_cursor: string | null }): void {
  if (page.next_cursor !== null && !output.json) output.note(`There are more: --cursor ${page.next_cursor}`)
}
