// The benchmarks of test/bench, one after the other: two at one time would measure each other.
//   node scripts/bench.mjs                      all of them
//   node scripts/bench.mjs <name> [arguments]   one of them; what its arguments are stands in its file
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const folder = 'test/bench';
const ending = '.bench.ts';
const names = readdirSync(folder)
  .filter((file) => file.endsWith(ending))
  .map((file) => file.slice(0, -ending.length));
const [wanted, ...rest] = process.argv.slice(2);

if (wanted !== undefined && !names.includes(wanted)) {
  console.error(`There is no benchmark "${wanted}". There are: ${names.join(', ')}.`);
  process.exitCode = 2;
} else {
  const failed = (wanted === undefined ? names : [wanted]).filter((name) => !run(name));
  if (failed.length > 0) {
    console.log(`\nFailed, or missed an aim: ${failed.join(', ')}`);
    process.exitCode = 1;
  }
}

/** @returns whether it ended well and met its aims. */
function run(name) {
  console.log(`\n== ${name}`);
  const args = ['--import', '@swc-node/register/esm-register', `${folder}/${name}${ending}`, ...rest];
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (error) throw error;
  return status === 0;
}
