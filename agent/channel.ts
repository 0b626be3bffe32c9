// The two words of schema/version.ts that start-up and the daemon need, without what reads documents.
import type { Channel } from '../schema/version.ts'

export type { Channel }

const CHANNELS: readonly string[] = ['alpha', 'beta', 'release'] satisfies Channel[]

/** Whether the text names a channel. */
export function isChannel(text: string): text is Channel {
  return CHANNELS.includes(text)
}
