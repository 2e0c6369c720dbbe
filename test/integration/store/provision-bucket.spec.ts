import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { toMilliseconds, type Duration } from '../../../lib/common/duration.js';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { BucketOptions, BucketProvisionMode } from '../../../lib/store/engine/bucket-options.js';
import { resolveKvObject, type KvObjectOptions } from '../../../lib/store/engine/kv-object.options.js';
import { provisionBucket } from '../../../lib/store/engine/provision-bucket.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { recordingLog } from '../../support/log.js';
import { TallySchema } from './store-fixture.js';

let server: EmbeddedNatsServer;
let connection: FlowConnection;
const log = recordingLog();
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
  connection = await FlowConnection.connect({ servers: server.url }, log);
});
afterAll(async () => {
  await connection.close();
  await server.stop();
});

function bucketOf(options: Omit<KvObjectOptions<typeof TallySchema>, 'schema'>): BucketOptions {
  return resolveKvObject('test', { schema: TallySchema, ...options }).bucket;
}

const provision = (options: Omit<KvObjectOptions<typeof TallySchema>, 'schema'>, mode: BucketProvisionMode = 'auto') =>
  provisionBucket(connection, bucketOf(options), mode, log);

describe('provisioning a bucket', () => {
  it('makes the layout that KV clients expect', async () => {
    await provision({
      bucket: 'made',
      ttl: '1h',
      history: 3,
      storage: 'memory',
      description: 'for a test',
      bucketPrefix: 'x_',
    });
    await using plain = await connectForTest(server);
    const status = await (await new Kvm(plain).open('x_made')).status();
    expect(status).toMatchObject({ history: 3, ttl: 3_600_000, storage: 'memory' });
    const { config } = await connection.manager.streams.info('KV_x_made');
    expect(config).toMatchObject({
      subjects: ['$KV.x_made.>'],
      description: 'for a test',
      allow_rollup_hdrs: true,
      discard: 'new',
    });
  });

  it('may be done by ten at a time', async () => {
    await using others = await FlowConnection.connect({ servers: server.url }, log);
    const bucket = bucketOf({ bucket: 'ten', history: 2 });
    await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        provisionBucket(index % 2 === 0 ? connection : others, bucket, 'auto', log),
      ),
    );
    expect((await connection.manager.streams.info('KV_ten')).config.max_msgs_per_subject).toBe(2);
  });

  it('changes what differs and may be changed, and says so', async () => {
    await provision({ bucket: 'changing', history: 1 });
    expect(await provision({ bucket: 'changing', history: 4, ttl: '1d' })).toMatchObject({ history: 4 });
    const { config } = await connection.manager.streams.info('KV_changing');
    expect([config.max_msgs_per_subject, config.max_age]).toEqual([4, 86_400e9]);
    expect(log.messages('log').join('\n')).toContain(
      'Bucket "changing": changed ttl (ms) from 0 to 86400000, history from 1 to 4.',
    );
  });

  it('shortens and lengthens the time that entries live, also below the duplicate window', async () => {
    const lives: [Duration, number][] = [
      ['1h', 120],
      ['10s', 10],
      ['1s', 1],
      ['30s', 30],
      ['1d', 120],
    ];
    for (const [ttl, seconds] of lives) {
      await provision({ bucket: 'shorter', ttl });
      const { config } = await connection.manager.streams.info('KV_shorter');
      expect([config.max_age, config.duplicate_window]).toEqual([toMilliseconds(ttl) * 1e6, seconds * 1e9]);
    }
  });

  it('says once that it was created, and nothing of a bucket that is there', async () => {
    const told = (): string[] => log.messages().filter((line) => line.includes('"told"'));
    await provision({ bucket: 'told', history: 2 });
    await provision({ bucket: 'told', history: 2 });
    await provision({ bucket: 'told', history: 2 }, 'verify');
    expect(told()).toEqual(['Bucket "told" created.']);
  });

  it('takes what the options leave out as it is', async () => {
    await provision({ bucket: 'kept', history: 5, ttl: '1h' });
    expect(await provision({ bucket: 'kept' })).toMatchObject({ history: 5 });
    expect((await connection.manager.streams.info('KV_kept')).config.max_age).toBe(3_600e9);
  });

  it('refuses what cannot be changed', async () => {
    await provision({ bucket: 'fixed', storage: 'file' });
    const refused = provision({ bucket: 'fixed', storage: 'memory' });
    await expect(refused).rejects.toThrow(ConfigurationError);
    await expect(refused).rejects.toThrow('storage is file on the server and memory in @KvObject');
  });

  it('only looks in mode "verify", and does nothing in mode "off"', async () => {
    await expect(provision({ bucket: 'missing' }, 'verify')).rejects.toThrow('it does not exist');
    await provision({ bucket: 'missing' }, 'off');
    await expect(connection.manager.streams.info('KV_missing')).rejects.toThrow();
    await provision({ bucket: 'verified', history: 2 });
    await provision({ bucket: 'verified', history: 2 }, 'verify');
    await expect(provision({ bucket: 'verified', history: 3 }, 'verify')).rejects.toThrow('history is 2 on the server');
    await provision({ bucket: 'verified', history: 3 }, 'off');
  });

  it('reports every problem of the options at once', () => {
    const wrong = { bucket: 'a b', ttl: 'soon', history: 99, remember: { count: 1_000_000 }, colour: 'red' };
    expect(() => resolveKvObject('@KvObject of X', { schema: TallySchema, ...wrong } as never)).toThrow(
      /5 problems[^]*"a b" cannot name a bucket[^]*ttl[^]*history[^]*remember\.count[^]*colour/,
    );
  });
});
