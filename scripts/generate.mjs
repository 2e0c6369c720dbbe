// Generates TypeScript from every proto folder; with --check, proves that the generated code is up to date.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

const check = process.argv.includes('--check');
const samples = readdirSync('sample').map((name) => ({
  proto: join('sample', name, 'proto'),
  gen: join('sample', name, 'gen'),
}));
const folders = [
  { proto: 'proto', gen: join('lib', 'codec', 'gen') },
  { proto: join('test', 'support', 'proto'), gen: join('test', 'support', 'gen') },
  { proto: join('test', 'types', 'readme', 'proto'), gen: join('test', 'types', 'readme', 'gen') },
  ...samples,
].filter(({ proto }) => existsSync(proto));

const stale = folders.filter(({ proto, gen }) => {
  const made = mkdtempSync(join(tmpdir(), 'flow-generate-'));
  try {
    generate(proto, made);
    if (check) return !same(made, gen);
    rmSync(gen, { recursive: true, force: true });
    cpSync(made, gen, { recursive: true });
    return false;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
});
if (stale.length > 0) {
  console.error(`Run "npm run generate": ${stale.map(({ gen }) => gen).join(', ')} is not what the proto files say.`);
  process.exit(1);
}

function generate(proto, out) {
  const config = { version: 'v2', modules: [{ path: proto }], lint: { use: ['STANDARD'] } };
  const template = {
    version: 'v2',
    plugins: [{ local: 'protoc-gen-es', out, opt: ['target=ts', 'import_extension=js'] }],
  };
  buf('lint', '--config', JSON.stringify(config));
  buf('generate', '--config', JSON.stringify(config), '--template', JSON.stringify(template));
}

function buf(...args) {
  const PATH = [resolve('node_modules', '.bin'), process.env.PATH].join(delimiter);
  const { status } = spawnSync('buf', args, {
    stdio: 'inherit',
    env: { ...process.env, PATH },
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}

function same(left, right) {
  const files = (folder) =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name).slice(folder.length))
          .sort()
      : [];
  const [made, kept] = [files(left), files(right)];
  return (
    made.join() === kept.join() && made.every((file) => readFileSync(left + file).equals(readFileSync(right + file)))
  );
}
