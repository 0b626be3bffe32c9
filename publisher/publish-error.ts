/** Every way in which the publisher itself says no. What keys, disk, network and shapes refuse keeps its own error class. */
export type PublishErrorCode =
  | 'usage' // a flag or an argument that cannot be meant
  | 'config' // netlink.publish.yml, or a file that it names
  | 'passphrase' // a keyring that does not open
  | 'files' // something in the release folder may not be released; `problems` name each
  | 'changed' // a file changed while it was being packed
  | 'lint' // release.json or the changelog would be refused or regretted; `problems` name each
  | 'not-newer' // the channel already holds this version or a later one
  | 'policy' // a rule that has its own long flag to skip it
  | 'initialized' // init on a folder or a server that has been
  | 'unknown-version' // nothing published or pending under this name
  | 'unsigned' // fewer valid signatures than the threshold
  | 'conflict' // somebody else published in the meantime
  | 'server' // the server refused; `status`, `problem` and `reason` are its own words
  | 'unconfirmed' // a question that nobody was there to answer, or that was answered with no
  | 'mismatch' // what the public sees is not what was signed
  | 'event' // a signing event or an authorisation that can't go on: expired, aborted, or nobody knows it
  | 'altered' // one that does not follow from what is trusted, or that can't be shown

/** One thing that is wrong, and where: a path, or a JSON pointer below a file. */
export interface Problem {
  readonly where: string
  readonly what: string
}

export interface PublishErrorFacts {
  readonly problems?: readonly Problem[]
  /** What things are like now, as a whole sentence. Unless said: "Nothing was published." */
  readonly state?: string
  /** Commands to run next. */
  readonly next?: readonly string[]
  /** Of a server's refusal: HTTP status, the problem's code, its finer reason, and what it expected. */
  readonly status?: number
  readonly problem?: string
  readonly reason?: string
  readonly expected?: string
  /** Of `unsigned`: which role, and who has signed it and who could. */
  readonly role?: string
  readonly standing?: {
    readonly have: readonly string[]
    readonly missing: readonly string[]
    readonly threshold: number
  }
}

/** The publisher refused. Nothing was published, unless `facts.state` says otherwise. */
export class PublishError extends Error {
  override readonly name = 'PublishError'
  readonly code: PublishErrorCode
  readonly facts: PublishErrorFacts

  constructor(code: PublishErrorCode, message: string, facts: PublishErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.facts = facts
  }
}
