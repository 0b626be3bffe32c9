/** What the client says when there is no connection, or it broke (postgres.js), and what PostgreSQL says when it is starting, stopping or full (class 57P, 53300, 08). */
const GONE =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ECONN(REFUSED|RESET)|EPIPE|ENOTFOUND|EHOSTUNREACH|ETIMEDOUT|57P\d\d|53300|08\d{3})$/

/** Whether a query failed because the database is not there, so that the same may work later. drizzle wraps what the client threw. */
export function isDatabaseGone(error: unknown): boolean {
  for (let one = error, depth = 0; one instanceof Error && depth < 4; one = one.cause, depth++) {
    if ('code' in one && typeof one.code === 'string' && GONE.test(one.code)) return true
  }
  return false
}
