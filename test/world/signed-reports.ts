// Reports signed as a host signs them, one chain for each machine: what a real outbox does, without its disk.
import { createHash } from 'node:crypto'
import { type Report, reportStatement, type SignedReport } from '../../schema/report.ts'

export const FIRST_EPOCH = '0'.repeat(32)

/** A machine that speaks for a host, as far as its chain goes. */
export class ReportChain {
  readonly #hostId: string
  readonly #sign: (statement: Uint8Array) => string | Promise<string>
  readonly #hashes = new Map<number, string>()
  epoch = FIRST_EPOCH

  constructor(hostId: string, sign: (statement: Uint8Array) => string | Promise<string>) {
    this.#hostId = hostId
    this.#sign = sign
  }

  /** A machine with the same key and the same memory, from now on by itself. */
  copy(): ReportChain {
    const other = new ReportChain(this.#hostId, this.#sign)
    other.epoch = this.epoch
    for (const [seq, hash] of this.#hashes) other.#hashes.set(seq, hash)
    return other
  }

  /** Another chain by the same key: what was said so far is forgotten. */
  forget(epoch: string): void {
    this.epoch = epoch
    this.#hashes.clear()
  }

  /** Each continues the one that this machine signed last under a lower number. */
  async signAll(reports: readonly Report[]): Promise<SignedReport[]> {
    const signed: SignedReport[] = []
    for (const report of reports) signed.push(await this.sign(report))
    return signed
  }

  async sign({ seq, at, body: value }: Report): Promise<SignedReport> {
    const last = Math.max(0, ...[...this.#hashes.keys()].filter((one) => one < seq))
    const previous = this.#hashes.get(last) ?? null
    const body = JSON.stringify(value)
    const head = { epoch: this.epoch, seq, at, previous }
    const statement = reportStatement({ ...head, hostId: this.#hostId, bodySha256: sha256(body) })
    this.#hashes.set(seq, sha256(statement))
    return { ...head, body, signature: await this.#sign(statement) }
  }
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
