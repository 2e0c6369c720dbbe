import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { resolveConnectionOptions, type ConnectionOptions } from '../../../lib/connection/connection.options.js';

function problemsOf(options: unknown): readonly string[] {
  try {
    resolveConnectionOptions(options as ConnectionOptions);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('resolveConnectionOptions', () => {
  let directory: string;
  let file: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'flow-options-'));
    file = join(directory, 'some.file');
    writeFileSync(file, 'x');
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  it('fills in the defaults, durations in milliseconds', () => {
    expect(resolveConnectionOptions({})).toEqual({
      servers: [{ address: '127.0.0.1:4222', tls: false }],
      name: 'nestjs-jetstream-flow',
      connectTimeout: 5_000,
      whenAbsent: 'wait',
      reconnectWait: 2_000,
      maxReconnectAttempts: -1,
      pingInterval: 5_000,
      requestTimeout: 5_000,
      publishTimeout: 10_000,
      maxPublishesInFlight: 1_024,
    });
  });

  it.each([
    ['nats://a', [{ address: 'a:4222', tls: false }]],
    [
      'a:1, tls://b:2',
      [
        { address: 'a:1', tls: false },
        { address: 'b:2', tls: true },
      ],
    ],
    [['nats://[::1]:4333'], [{ address: '[::1]:4333', tls: false }]],
    ['nats://me:s%3Acret@a', [{ address: 'a:4222', tls: false, user: 'me', password: 's:cret' }]],
    ['nats://50%cret@a', [{ address: 'a:4222', tls: false, token: '50%cret' }]],
  ])('takes the servers %j apart', (servers, expected) => {
    expect(resolveConnectionOptions({ servers }).servers).toEqual(expected);
  });

  it('tells every problem at once, those between options too', () => {
    const problems = problemsOf({
      servers: ['ws://a', 'nats://b', '::1', ''],
      user: 'me',
      token: 'secret-token',
      credentialsFile: '/does/not/exist.creds',
      tls: { certFile: file },
      connectTimeout: 'soon',
      publishTimeout: 0,
      whenAbsent: 'fail',
      waitAtMost: '1m',
      maxPublishesInFlight: 0,
      inboxPrefix: 'a.*',
      server: 'typo',
      connection: {},
    });
    for (const part of [
      'servers.0: ws:// is not a scheme',
      'servers.2: "::1" is not a server address',
      'servers.3: an address is empty',
      'user: needs password',
      'token: choose one way to authenticate, not user and token and credentialsFile',
      'credentialsFile: the file does not exist',
      'tls: certFile and keyFile need each other',
      'connectTimeout: "soon" is not a duration',
      'publishTimeout: must be longer than 0',
      'waitAtMost: has no meaning',
      'maxPublishesInFlight: ',
      'inboxPrefix: must be a subject without wildcards',
      'there is no option "server". Did you mean "servers"?',
      'connection: is not a connection',
    ]) {
      expect(
        problems.filter((problem) => problem.includes(part)),
        part,
      ).toHaveLength(1);
    }
  });

  it.each([
    { servers: 'nats://me:hunter2@a:port' },
    { servers: 'http://me:hunter2@a' },
    { servers: 'nats://me:hunter2@a', token: 'hunter2' },
    { user: 'me', password: 'hunter2', nkeySeed: 'hunter2' },
    { password: 'hunter2' },
  ])('keeps secrets out of the error for %j', (options) => {
    let thrown: unknown;
    try {
      resolveConnectionOptions(options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain('hunter2');
  });
});
