import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'

/** The exit code of an update that went back, by its engine code: one that was no longer what was signed ends like everything else that does not verify. */
export function exitOfRolledBack(code: unknown): ExitCode {
  return code === 'unverified' ? EXIT.unverified : EXIT.rolledBack
}
