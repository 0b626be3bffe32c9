// A command as it was typed, to be typed again where a question was not answered with yes.
import { shellWord } from '../schema/cli/shell-word.ts'
import { PublishError } from './publish-error.ts'
import type { SignerOptions } from './workshop.ts'

/** A command with the flags that said where it works, who signs and where that goes: as it can be typed again. */
export function typedAgain(
  command: string,
  options: SignerOptions & { readonly dir?: string; readonly offline?: boolean; readonly out?: string },
): string {
  const { dir, signer = [], passphraseFile = [], key = [], offline = false, out } = options
  const flags = [
    ...(dir === undefined ? [] : ['--dir', dir]),
    ...signer.flatMap((name) => ['--signer', name]),
    ...passphraseFile.flatMap((file) => ['--passphrase-file', file]),
    ...key.flatMap((file) => ['--key', file]),
    ...(offline ? ['--offline'] : []),
    ...(out === undefined ? [] : ['--out', out]),
  ]
  return [command, ...flags.map(shellWord)].join(' ')
}

/** A question whose answer was no, or that nobody was there to answer. `command`: as it can be typed again. */
export function unanswered(
  subject: string,
  { isAsked, command, allowsYes }: { readonly isAsked: boolean; readonly command: string; readonly allowsYes: boolean },
): PublishError {
  const why = isAsked ? 'it was not confirmed' : 'there is no terminal to ask on'
  const atTerminal = `${command}      (on a terminal)`
  const next = isAsked
    ? [`${command}      (to look at it again)`]
    : [atTerminal, ...(allowsYes ? [`${command} --yes      (in a pipeline: signs without a question)`] : [])]
  return new PublishError('unconfirmed', `${subject} was not signed: ${why}`, { state: 'Nothing was signed.', next })
}
