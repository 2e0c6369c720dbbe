import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/skip-reporter.js';

const lib = (path: string): string => fileURLToPath(new URL(`./lib/${path}`, import.meta.url));

/** One project per kind of test, in the order in which they run: the quick ones first. */
const kinds = ['unit', 'integration', 'e2e', 'chaos'];

// Of several projects vitest lets some be empty: a kind that has lost its tests would pass unseen.
for (const kind of kinds) {
  const files = readdirSync(new URL(`./test/${kind}`, import.meta.url), { recursive: true, encoding: 'utf8' });
  if (!files.some((file) => file.endsWith('.spec.ts'))) throw new Error(`test/${kind} has no tests`);
}

export default defineConfig({
  // Nest resolves constructor parameters by the metadata that the compiler emits for decorated classes.
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: {
    // Tests import the package by its public name, as users do.
    alias: [
      { find: /^nestjs-jetstream-flow$/, replacement: lib('index.ts') },
      { find: /^nestjs-jetstream-flow\/(testing|pino|opentelemetry|throttler)$/, replacement: lib('$1/index.ts') },
    ],
  },
  test: {
    pool: 'forks',
    // Each worker has a nats-server beside it.
    maxWorkers: 2,
    globalSetup: './test/support/global-setup.ts',
    reporters: ['default', new SkipReporter(), ['json', { outputFile: 'temp/tests.json' }]],
    projects: kinds.map((name, groupOrder) => ({
      extends: true as const,
      test: {
        name,
        include: [`test/${name}/**/*.spec.ts`],
        testTimeout: name === 'chaos' ? 300_000 : 30_000,
        hookTimeout: 60_000,
        sequence: { groupOrder },
      },
    })),
  },
});
