import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ConfigurationError, FlowModule, flowOptionsFromEnv } from 'nestjs-jetstream-flow';
import { connectionVariables } from '../../lib/connection/connection-variables.js';
import { connectionOptionsShape } from '../../lib/connection/connection.options.js';
import { flowRuntimeOptionsShape } from '../../lib/flow/flow-runtime.options.js';

const here = fileURLToPath(import.meta.url);

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    flowOptionsFromEnv(env);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('flowOptionsFromEnv', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('gives nothing for an empty environment', () => {
    expect(flowOptionsFromEnv({ PATH: '/bin', NATS_NAME: ' ', FLOW_CONSUME: '' })).toEqual({});
  });

  it('warns of a FLOW_ variable that sets nothing', () => {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    try {
      expect(flowOptionsFromEnv({ FLOW_SHUTDOWN_TIMOUT: '1s', NATS_CONTEXT: 'x', FLOW_CONSUME: 'no' })).toEqual({
        consume: false,
      });
      expect(warn.mock.calls).toEqual([
        ['The environment variable FLOW_SHUTDOWN_TIMOUT sets no option. Did you mean "FLOW_SHUTDOWN_TIMEOUT"?'],
      ]);
    } finally {
      warn.mockRestore();
    }
  });

  it('reads every kind of variable', () => {
    const options = flowOptionsFromEnv({
      NATS_URL: 'nats://a',
      NATS_SERVERS: 'nats://b:1,c',
      NATS_NAME: 'shop',
      NATS_USER: 'me',
      NATS_PASSWORD: 'secret',
      NATS_TLS_CA: here,
      NATS_TLS_FIRST: 'yes',
      NATS_PUBLISH_TIMEOUT: '3s',
      NATS_CONNECT_TIMEOUT: '2500',
      NATS_MAX_RECONNECT_ATTEMPTS: '-1',
      NATS_WHEN_ABSENT: 'fail',
      NATS_JS_DOMAIN: 'hub',
      FLOW_PROVISION: 'verify',
      FLOW_DURABILITY: 'replicated',
      FLOW_REPLICAS: '5',
      FLOW_BUCKET_PREFIX: 'staging_',
      FLOW_MAX_IN_FLIGHT: '64',
      FLOW_SHUTDOWN_TIMEOUT: '1m',
      FLOW_DEAD_LETTER_RETENTION: '90d',
      FLOW_CONSUME: 'off',
      FLOW_INSTANCE: 'pod-7',
    });
    expect(options).toEqual({
      servers: 'nats://a,nats://b:1,c',
      name: 'shop',
      user: 'me',
      password: 'secret',
      tls: { caFile: here, handshakeFirst: true },
      publishTimeout: '3s',
      connectTimeout: '2500',
      maxReconnectAttempts: -1,
      whenAbsent: 'fail',
      domain: 'hub',
      provision: 'verify',
      durability: 'replicated',
      replicas: 5,
      bucketPrefix: 'staging_',
      maxInFlight: 64,
      shutdownTimeout: '1m',
      deadLetterRetention: '90d',
      consume: false,
      instance: 'pod-7',
    });
    expect(() => FlowModule.forRoot(options)).not.toThrow();
  });

  it('reads the environment of the process by default', () => {
    vi.stubEnv('FLOW_INSTANCE', 'this-one');
    expect(flowOptionsFromEnv()).toMatchObject({ instance: 'this-one' });
  });

  it('tells every problem at once, under the names of the variables and without the values', () => {
    const problems = problemsOf({
      NATS_URL: 'nats://me:hunter2@a:port',
      NATS_NKEY_SEED: 'hunter2',
      NATS_TLS_CERT: '/does/not/exist',
      NATS_TLS_FIRST: 'perhaps',
      NATS_PUBLISH_TIMEOUT: 'soon',
      NATS_MAX_PUBLISHES_IN_FLIGHT: 'many',
      NATS_WHEN_ABSENT: 'cry',
      NATS_USER: 'me',
      FLOW_PROVISION: 'hunter2',
      FLOW_REPLICAS: '3',
      FLOW_MAX_IN_FLIGHT: '0',
      FLOW_BUCKET_PREFIX: 'a.b',
      FLOW_SHUTDOWN_TIMEOUT: 'later',
      FLOW_DEAD_LETTER_RETENTION: '0',
      FLOW_CONSUME: 'sometimes',
    });
    expect(problems.join()).not.toContain('hunter2');
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(':'))).sort()).toEqual([
      'FLOW_BUCKET_PREFIX',
      'FLOW_CONSUME',
      'FLOW_DEAD_LETTER_RETENTION',
      'FLOW_MAX_IN_FLIGHT',
      'FLOW_PROVISION',
      'FLOW_REPLICAS',
      'FLOW_SHUTDOWN_TIMEOUT',
      'NATS_MAX_PUBLISHES_IN_FLIGHT',
      'NATS_NKEY_SEED',
      'NATS_NKEY_SEED',
      'NATS_PUBLISH_TIMEOUT',
      'NATS_TLS_CERT',
      'NATS_TLS_CERT',
      'NATS_TLS_FIRST',
      'NATS_URL',
      'NATS_USER',
      'NATS_WHEN_ABSENT',
    ]);
  });

  it('knows a variable for every option that is text', () => {
    const known = new Set(connectionVariables.map(({ option }) => option.split('.')[0]));
    const connection = Object.keys(connectionOptionsShape).filter((option) => option !== 'connection');
    expect([...known].sort()).toEqual(connection.sort());
    const source = readFileSync(here.replace(/test.unit.*/, 'lib/flow-options-from-env.ts'), 'utf8');
    const runtime = Object.keys(flowRuntimeOptionsShape).filter((option) => option !== 'flows');
    expect(runtime.filter((option) => !source.includes(`option: '${option}'`))).toEqual([]);
  });

  it('documents every variable', () => {
    const source = readFileSync(here.replace(/test.unit.*/, 'lib/flow-options-from-env.ts'), 'utf8');
    const rows = source.split('\n').filter((line) => line.startsWith(' * |'));
    const variables = [
      ...connectionVariables.map(({ variable }) => variable),
      ...[...source.matchAll(/variable: '(\w+)'/g)].map(([, name = '']) => name),
    ];
    expect(variables.filter((name) => !rows.some((row) => row.includes(`\`${name}\``)))).toEqual([]);
  });
});
