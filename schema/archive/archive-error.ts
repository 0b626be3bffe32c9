/** Every way in which an archive, or a tree that should become one, is refused. */
export type ArchiveErrorCode =
  | 'link' // a hard or symbolic link
  | 'device' // a device, fifo or socket
  | 'traversal' // a path with `.` or `..`
  | 'absolute' // a path from the root or from a drive
  | 'bad-name' // a path that is no portable name: empty parts, control characters, backslashes, not UTF-8, not NFC, too long
  | 'duplicate' // the same path twice
  | 'collision' // two paths that a file system which ignores case or normalization takes for one
  | 'unsorted' // not in ascending order of path bytes
  | 'orphan' // the folder that holds the entry is not an entry before it
  | 'mode' // other rights than 0644 and 0755
  | 'too-many-entries'
  | 'too-many-bytes'
  | 'bad-header' // not what this project's writer writes: checksum, owner, time, extension, unknown kind of entry
  | 'bad-padding' // bytes between a file's end and the next block
  | 'truncated' // ends before its end mark
  | 'trailing' // goes on behind its end mark

export interface ArchiveErrorFacts {
  readonly path?: string
  /** Where in the archive, in bytes. */
  readonly offset?: number
  readonly expected?: string
  readonly actual?: string
}

/** An archive is not one that this project writes. Nothing that it holds may be used. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
  readonly code: ArchiveErrorCode
  readonly facts: ArchiveErrorFacts

  constructor(code: ArchiveErrorCode, message: string, facts: ArchiveErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.facts = facts
  }
}
