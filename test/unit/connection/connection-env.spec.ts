import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { connectionOptionsFromEnv, connectionVariables } from '../../../lib/connection/connection-env.js';
import { connectionOptionsShape } from '../../../lib/connection/connection.options.js';

const here = fileURLToPath(import.meta.url);

describe('connectionOptionsFromEnv', () => {
  it('gives nothing for an empty environment', () => {
    expect(connectionOptionsFromEnv({ PATH: '/bin', NATS_NAME: ' ' })).toEqual({});
  });

  it('reads every kind of variable', () => {
    expect(
      connectionOptionsFromEnv({
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
      }),
    ).toEqual({
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
    });
  });

  it('tells every problem at once, under the names of the variables and without the values', () => {
    let thrown: unknown;
    try {
      connectionOptionsFromEnv({
        NATS_URL: 'nats://me:hunter2@a:port',
        NATS_NKEY_SEED: 'hunter2',
        NATS_TLS_CERT: '/does/not/exist',
        NATS_TLS_FIRST: 'perhaps',
        NATS_PUBLISH_TIMEOUT: 'soon',
        NATS_MAX_PUBLISHES_IN_FLIGHT: 'many',
        NATS_WHEN_ABSENT: 'cry',
        NATS_USER: 'me',
      });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigurationError);
    const { problems, message } = thrown as ConfigurationError;
    expect(message).not.toContain('hunter2');
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(':'))).sort()).toEqual([
      'NATS_MAX_PUBLISHES_IN_FLIGHT',
      'NATS_NKEY_SEED',
      'NATS_NKEY_SEED',
      'NATS_PUBLISH_TIMEOUT',
      'NATS_TLS_CERT',
      'NATS_TLS_CERT, NATS_TLS_KEY',
      'NATS_TLS_FIRST',
      'NATS_URL',
      'NATS_USER',
      'NATS_WHEN_ABSENT',
    ]);
  });

  it('knows a variable for every option but the connection itself, and documents each', () => {
    const options = new Set(connectionVariables.map(({ option }) => option.split('.')[0]));
    expect([...options].sort()).toEqual(
      Object.keys(connectionOptionsShape)
        .filter((option) => option !== 'connection')
        .sort(),
    );
    const source = readFileSync(here.replace(/test.unit.connection.*/, 'lib/connection/connection-env.ts'), 'utf8');
    const table = source.slice(0, source.indexOf('export const connectionVariables'));
    for (const { variable } of connectionVariables) expect(table).toContain(`\`${variable}\``);
  });
});
