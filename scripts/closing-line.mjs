// Says how tests and checks went in one line, and fails when anything did.
//   node scripts/closing-line.mjs <exit code of the tests> <exit code of the checks>
import { existsSync, readFileSync } from 'node:fs';

const [testsCode, checksCode] = process.argv.slice(2).map(Number);
const read = (file, fallback) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : fallback);
const { testResults } = read('temp/tests.json', { testResults: [] });
const { failed: failedChecks } = read('temp/checks.json', { failed: [] });

const states = testResults.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
const count = (...wanted) => states.filter((state) => wanted.includes(state)).length;

// A file that cannot be loaded fails without any test of its own.
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
).length;
let failed = count('failed') + brokenFiles;
// A run that failed without a failed test: it did not come to its end, or the type tests do not compile.
if (testsCode !== 0 && failed === 0) failed = 1;
failed += checksCode !== 0 ? Math.max(1, failedChecks.length) : 0;

for (const name of failedChecks) console.log(`failed check: ${name}`);
console.log(`${count('passed')} passed, ${failed} failed, ${count('skipped', 'pending', 'todo')} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
