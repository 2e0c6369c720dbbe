// Says how tests, checks and demo went in one line, and fails when anything did.
//   node scripts/closing-line.mjs <exit code of the tests> <exit code of the checks> <exit code of the demo>
import { existsSync, readFileSync } from 'node:fs';

const [testsCode, checksCode, demoCode] = process.argv.slice(2).map(Number);
const read = (file, fallback) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : fallback);
const { testResults } = read('temp/tests.json', { testResults: [] });
const none = { failed: [] };
const typeTests = read('temp/type-tests.json', none).failed;
const checks = read('temp/checks.json', none).failed;
const demo = demoCode === 0 ? [] : ['demo'];

const states = testResults.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
const count = (...wanted) => states.filter((state) => wanted.includes(state)).length;

// A file that cannot be loaded fails without any test of its own.
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
).length;
// What failed without naming anything did not come to its end: that counts too.
const atLeastOne = (code, number) => (code === 0 ? number : Math.max(1, number));
const failed =
  atLeastOne(testsCode, count('failed') + brokenFiles + typeTests.length) +
  atLeastOne(checksCode, checks.length) +
  demo.length;

for (const name of [...typeTests, ...checks, ...demo]) console.log(`failed: ${name}`);
console.log(`${count('passed')} passed, ${failed} failed, ${count('skipped', 'pending', 'todo')} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
