import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ServerCapabilities } from '../../../lib/connection/server-capabilities.js';
import * as publicApi from '../../../lib/index.js';
import * as testingApi from '../../../lib/testing/index.js';
import { codeBlocks, containsLines, headingAnchors, linkTargets } from '../../support/markdown.js';
import { optionFields } from '../../support/option-fields.js';

const readme = readFileSync('README.md', 'utf8');
const architecture = readFileSync('ARCHITECTURE.md', 'utf8');

/** Where the code of the README comes from: files that the compiler checks. */
const SNIPPETS = 'test/types/readme';

const OPTIONS = [
  ['lib/connection/connection.options.ts', 'ConnectionOptions'],
  ['lib/connection/connection.options.ts', 'ConnectionTlsOptions'],
  ['lib/flow/flow-runtime.options.ts', 'FlowRuntimeOptions'],
  ['lib/flow.module.options.ts', 'FlowConnectionKey'],
  ['lib/flow/contract.ts', 'FlowContractOptions'],
  ['lib/flow/decorators/flow-step.options.ts', 'FlowStepOptions'],
  ['lib/flow/client/flow-client.ts', 'StartOptions'],
  ['lib/flow/flow-context.ts', 'FlowContext'],
  ['lib/store/engine/kv-object.options.ts', 'KvObjectOptions'],
  ['lib/store/engine/operation-queue.ts', 'WriteOptions'],
  ['lib/store/on-kv-change.decorator.ts', 'OnKvChangeOptions'],
  ['lib/coordination/rate-limiter/rate-limiter.options.ts', 'RateLimitRule'],
  ['lib/coordination/rate-limiter/rate-limiter.options.ts', 'RateLimiterSettings'],
  ['lib/coordination/nest/rate-limit.decorator.ts', 'RateLimitOptions'],
  ['lib/testing/embedded-nats-server.options.ts', 'EmbeddedNatsServerOptions'],
] as const;

describe('README.md', () => {
  it.each(['ts', 'proto'])('shows no %s code but what stands in a compiled file', (language) => {
    const sources = readdirSync(SNIPPETS, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(`.${language}`))
      .map((file) => readFileSync(join(SNIPPETS, file), 'utf8'));
    const blocks = codeBlocks(readme).filter((block) => block.language === language);
    const foreign = blocks.filter(({ text }) => !sources.some((source) => containsLines(source, text)));
    expect(foreign.map(({ line, text }) => `README.md:${line}\n${text}`)).toEqual([]);
    expect(blocks.length).toBeGreaterThan(0);
  });

  it.each(OPTIONS)('names every field of %s %s, with its default', (file, name) => {
    const rows = readme.split('\n').filter((line) => line.startsWith('| `'));
    const missing = optionFields(file, name).filter((field) => {
      const value = literalOf(field.defaultText);
      return !rows.some((row) => row.startsWith(`| \`${field.name}\``) && (value === undefined || row.includes(value)));
    });
    expect(missing).toEqual([]);
  });

  it('names every environment variable', () => {
    const sources = ['lib/connection/connection-variables.ts', 'lib/flow-options-from-env.ts'];
    const variables = sources.flatMap((file) =>
      Array.from(readFileSync(file, 'utf8').matchAll(/variable: '(\w+)'/g), ([, name = '']) => name),
    );
    expect(variables.length).toBeGreaterThan(20);
    expect(variables.filter((variable) => !readme.includes(`\`${variable}\``))).toEqual([]);
  });

  it('names every error class of the package', () => {
    const { FlowError } = publicApi;
    const classes = Object.entries({ ...publicApi, ...testingApi })
      .filter(([, value]) => typeof value === 'function' && value.prototype instanceof FlowError)
      .map(([name]) => name);
    expect(classes.length).toBeGreaterThan(10);
    expect(classes.filter((name) => !readme.includes(`| \`${name}\``))).toEqual([]);
  });

  it('names every metric, and every span of coordination', () => {
    const metrics = Array.from(
      readFileSync('lib/telemetry/instruments.ts', 'utf8').matchAll(
        /create(?:Histogram|Counter|UpDownCounter)\(\s*'([\w.]+)'/g,
      ),
      ([, name = '']) => `\`${name}\``,
    );
    expect(metrics.length).toBeGreaterThan(10);
    const spans = [
      'acquire Mutex',
      'acquire Semaphore',
      'hold Mutex',
      'hold LeaderElection',
      'wait WaitGroup',
      'wait Barrier',
    ];
    const names = [...metrics, ...spans.map((name) => `\`${name} <name>\``)];
    const rows = readme.split('\n').filter((line) => line.startsWith('| `'));
    expect(names.filter((name) => !rows.some((row) => row.includes(name)))).toEqual([]);
  });

  it('says from which server version on a killed server loses nothing', () => {
    const stated = /Lowest server version for that: \*\*(\d+\.\d+\.\d+)\*\*/.exec(readme)?.[1] ?? '0.0.0';
    expect(new ServerCapabilities(stated).keepsConsumersOverCrash).toBe(true);
    expect(() => new ServerCapabilities('0.0.0').require('keepsConsumersOverCrash')).toThrow(
      `needs nats-server ${stated}`,
    );
  });
});

describe.each([
  ['README.md', readme],
  ['ARCHITECTURE.md', architecture],
])('%s', (_file, text) => {
  it('has no link that leads nowhere', () => {
    const local = linkTargets(text).filter((target) => !/^https?:/.test(target));
    const dead = local.filter((target) => {
      const [path = '', anchor] = target.split('#');
      if (path !== '' && !existsSync(path)) return true;
      const destination = path === '' ? text : readFileSync(path, 'utf8');
      return anchor !== undefined && !headingAnchors(destination).has(anchor);
    });
    expect(dead).toEqual([]);
  });

  it('names no file of the repository that is not there', () => {
    const paths = Array.from(
      text.matchAll(/`((?:lib|test|scripts|proto|sample|api)\/[\w./-]*\w)`/g),
      ([, path = '']) => path,
    );
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  });
});

/** A default that is a value, as it must stand in the table; `undefined` for one that is told in words. */
function literalOf(text: string | undefined): string | undefined {
  return /^(?:'[^']*'|-?\d[\d_]*(?:,\d{3})*|true|false)/.exec(text ?? '')?.[0];
}
