// `node test/attacks/main.ts`: the list of attacks against test names.
import { catalogue } from './catalogue.ts'
import { numberedTests, testSources } from './named-tests.ts'

const numbered = numberedTests(testSources())
for (const { number, what, by = [], later } of catalogue) {
  console.log(`${number.padEnd(4)}${what}${later === undefined ? '' : `\n    LATER ${later}`}`)
  for (const { file, name, numbers } of numbered) if (numbers.includes(number)) console.log(`    ${file}: ${name}`)
  for (const reference of by) console.log(`    ${reference}`)
}
const shown = catalogue.filter(({ later }) => later === undefined)
console.log(`\n${shown.length} of ${catalogue.length} have tests, ${catalogue.length - shown.length} are for later`)
