// The tests: first those that only the compiler looks at, then those that run. Arguments go to vitest.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';

const tools = 'node_modules';
const types = run(`${tools}/typescript/bin/tsc`, '-p', 'test/types/tsconfig.json');
console.log(types === 0 ? 'type tests: passed' : 'type tests: FAILED');
mkdirSync('temp', { recursive: true });
writeFileSync('temp/type-tests.json', JSON.stringify({ failed: types === 0 ? [] : ['type tests'] }));
const tests = run(`${tools}/vitest/vitest.mjs`, 'run', ...process.argv.slice(2));
process.exitCode = types || tests;

/** Runs a tool of node_modules, without a shell between. */
function run(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}
