import type { Context } from 'hono'
import type { Page } from '../core/core.ts'
import type { HttpEnv } from './context.ts'

type Answering = Pick<Context<HttpEnv>, 'req' | 'header'>

/** Says in a `Link` header where the next page is (RFC 8288), for those who follow links instead of cursors. Returns the page. */
export function linked<T>(c: Answering, page: Page<T>): Page<T> {
  if (page.next_cursor === null) return page
  const url = new URL(c.req.url)
  url.searchParams.set('cursor', page.next_cursor)
  c.header('link', `<${url.pathname}${url.search}>; rel="next"`)
  return page
}
