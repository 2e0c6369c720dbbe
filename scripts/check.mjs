// Everything that is checked without running the library: all checks run, then the failed ones are named.
import { mkdirSync, writeFileSync } from 'node:fs';
import { runSteps } from './steps.mjs';

const failed = runSteps([
  'format:check',
  'lint',
  'types',
  'imports:check',
  'unused:check',
  'sources:check',
  'generate:check',
  'build',
  'exports:check',
  'api:check',
]);
mkdirSync('temp', { recursive: true });
writeFileSync('temp/checks.json', JSON.stringify({ failed }));
if (failed.length > 0) {
  console.log(`Failed checks: ${failed.join(', ')}`);
  process.exit(1);
}
