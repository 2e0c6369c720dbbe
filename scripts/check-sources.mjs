// Looks for what must not be in the repository: addresses of private registries, paths of one machine.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const problems = [];

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
for (const [path, { resolved }] of Object.entries(packages)) {
  if (resolved === undefined || resolved.startsWith('https://registry.npmjs.org/')) continue;
  problems.push(`package-lock.json: ${path} is resolved to ${resolved}, not to the public registry`);
}

const machinePath = /(?<![\w./])\/(?:tmp|work|root|home\/\w+|Users\/\w+)\//;
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
});
for (const file of files.split('\0').filter((name) => /\.(ts|js|mjs|cjs|json|md|proto|yaml)$/.test(name))) {
  // Git also lists what was deleted a moment ago.
  if (file === 'scripts/check-sources.mjs' || !existsSync(file)) continue;
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      const found = machinePath.exec(line);
      if (found) problems.push(`${file}:${index + 1}: "${found[0]}" is a path of one machine`);
    });
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
