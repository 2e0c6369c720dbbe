import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const lib = (path: string): string => fileURLToPath(new URL(`./lib/${path}`, import.meta.url));

export default defineConfig({
  // Nest resolves constructor parameters by the metadata that the compiler emits for decorated classes.
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: {
    // Tests import the package by its public name, as users do.
    alias: [
      { find: /^nestjs-jetstream-flow$/, replacement: lib('index.ts') },
      { find: /^nestjs-jetstream-flow\/(testing|pino|opentelemetry)$/, replacement: lib('$1/index.ts') },
    ],
  },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    include: ['test/**/*.spec.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
