import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeBlocks } from '../support/markdown.js';
import { PackedPackageApp } from '../support/packed-package.js';

const BUILD_MS = 300_000;
const RUN_MS = 120_000;

describe('the packed package', () => {
  let app: PackedPackageApp;

  beforeAll(async () => {
    app = await PackedPackageApp.create();
  }, BUILD_MS);
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
  });

  it("runs the README's first example, which prints what the README says", { timeout: RUN_MS }, async () => {
    const blocks = codeBlocks(await readFile('README.md', 'utf8'));
    const block = (language: string): string => blocks.find((candidate) => candidate.language === language)?.text ?? '';
    const compile = /^npx (tsc hello\.ts .*)$/m.exec(blocks.map(({ text }) => text).join('\n'))?.[1] ?? '';
    const [program = '', ...args] = compile.split(' ');

    await writeFile(join(app.directory, 'package.json'), JSON.stringify({ type: 'module' }));
    await writeFile(join(app.directory, 'hello.ts'), block('ts'));
    await app.run(program, args);
    const { stdout } = await app.run('node', ['hello.js']);

    expect(stdout.trimEnd()).toBe(block('text'));
  });

  it('can be required by CommonJS', { timeout: RUN_MS }, async () => {
    const script = `
      for (const [path, name] of Object.entries({ '': 'FlowModule', testing: 'EmbeddedNatsServer', pino: 'flowLogger', opentelemetry: 'startOpenTelemetry' }))
        console.log(name, typeof require(require('node:path').posix.join('nestjs-jetstream-flow', path))[name]);`;
    await writeFile(join(app.directory, 'required.cjs'), script);
    const { stdout } = await app.run('node', ['required.cjs']);
    expect(stdout.trimEnd().split('\n')).toEqual([
      'FlowModule function',
      'EmbeddedNatsServer function',
      'flowLogger function',
      'startOpenTelemetry function',
    ]);
  });

  it('has types for applications that are compiled to CommonJS', { timeout: RUN_MS }, async () => {
    const directory = join(app.directory, 'commonjs');
    await mkdir(directory);
    await writeFile(join(directory, 'package.json'), '{}');
    const source = `
      import { FlowModule, flow, json } from 'nestjs-jetstream-flow';
      import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
      const contract = flow('typed', { input: json<number>() });
      console.log(contract.name, typeof FlowModule.forRoot, typeof EmbeddedNatsServer.start);`;
    await writeFile(join(directory, 'main.ts'), source);
    await app.run('tsc', ['commonjs/main.ts', '--target', 'es2023', '--module', 'nodenext', '--skipLibCheck']);
    expect(await readFile(join(directory, 'main.js'), 'utf8')).toContain('require("nestjs-jetstream-flow")');
    expect((await app.run('node', ['commonjs/main.js'])).stdout.trim()).toBe('typed function function');
  });
});
