// Runs npm scripts one after the other, the later ones also when an earlier one failed.
import { spawnSync } from 'node:child_process';

/**
 * @param {readonly string[]} names Names of npm scripts.
 * @returns {string[]} The names of those that failed.
 */
export function runSteps(names) {
  const failed = [];
  for (const name of names) {
    const start = performance.now();
    const { status } = spawnSync('npm', ['run', '--silent', name], {
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32',
    });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
    if (status !== 0) failed.push(name);
  }
  return failed;
}
