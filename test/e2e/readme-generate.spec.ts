import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { codeBlocks } from '../support/markdown.js';

const SNIPPETS = 'test/types/readme';
const ORDER = ['shop', 'v1', 'order'];

it('the README says how to generate what its Protobuf example imports', async () => {
  const template = codeBlocks(await readFile('README.md', 'utf8')).find(({ language }) => language === 'yaml');
  const project = await mkdtemp(join(tmpdir(), 'flow-buf-'));
  try {
    await cp(join(SNIPPETS, 'proto'), join(project, 'proto'), { recursive: true });
    await writeFile(join(project, 'buf.gen.yaml'), template?.text ?? '');
    const env = { ...process.env, PATH: [resolve('node_modules', '.bin'), process.env['PATH']].join(delimiter) };
    await promisify(execFile)('buf', ['generate'], { cwd: project, env });
    const made = await readFile(`${join(project, 'src', 'gen', ...ORDER)}_pb.ts`, 'utf8');
    expect(made).toBe(await readFile(`${join(SNIPPETS, 'gen', ...ORDER)}_pb.ts`, 'utf8'));
  } finally {
    await rm(project, { recursive: true, force: true });
  }
});
