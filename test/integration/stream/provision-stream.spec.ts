import { RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { provisionStream } from '../../../lib/stream/provision.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { recordingLog, silentLog } from '../../support/log.js';
import { DAY, problems, streamConfig } from './provision-room.js';
import { connectTo } from './stream-room.js';

let server: EmbeddedNatsServer;
let connection: FlowConnection;

beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
  connection = await connectTo(server);
});

afterAll(async () => {
  await connection.close();
  await server.stop();
});

describe('a stream', () => {
  it('is created once, and left alone when it fits', async () => {
    const config = streamConfig();
    const log = recordingLog();
    await provisionStream(connection, config, 'auto', log);
    await provisionStream(connection, config, 'auto', log);
    await provisionStream(connection, config, 'verify', log);
    expect(log.messages()).toEqual([`Stream "${config.name}" created for ${config.name}.>.`]);
    const { config: actual } = await connection.manager.streams.info(config.name);
    expect(actual).toMatchObject({ max_age: 7 * DAY, max_msgs_per_subject: 1, republish: config.republish });
  });

  it('is updated where it may be, naming what changed', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const log = recordingLog();
    const changed = {
      ...config,
      max_age: 2 * DAY,
      description: 'another',
      subjects: [...config.subjects, `${config.name}_2`],
    };
    await provisionStream(connection, changed, 'auto', log);
    expect(log.messages('log')).toHaveLength(1);
    expect(log.messages('log')[0]).toContain('max_age: have 7d, want 2d');
    const { config: actual } = await connection.manager.streams.info(config.name);
    expect(actual).toMatchObject({ max_age: 2 * DAY, description: 'another', subjects: changed.subjects });
    // What was set before and is not named now stays.
    await provisionStream(connection, { name: config.name, subjects: config.subjects }, 'auto', log);
    expect((await connection.manager.streams.info(config.name)).config).toMatchObject({ max_age: 2 * DAY });
    expect(log.messages('warn')).toEqual([expect.stringContaining(`also stores ${config.name}_2`)]);
  });

  it('is refused where it may not be, with what it has and the remedy', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const text = await problems(
      provisionStream(
        connection,
        { ...config, storage: StorageType.Memory, retention: RetentionPolicy.Workqueue, max_consumers: 3 },
        'auto',
        silentLog,
      ),
    );
    expect(text).toContain('3 problems');
    expect(text).toContain('storage: have "file", want "memory"');
    expect(text).toContain('retention: have "limits", want "workqueue"');
    expect(text).toContain(`nats stream rm ${config.name}`);
    expect((await connection.manager.streams.info(config.name)).config.storage).toBe('file');
  });

  it('is refused in the words of the server when its settings do not go together', async () => {
    const config = streamConfig();
    const text = await problems(
      provisionStream(connection, { ...config, duplicate_window: 30 * DAY }, 'auto', silentLog),
    );
    expect(text).toMatch(/the server refuses: .*duplicate/i);
  });

  it('names the stream that has its subjects', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const other = { name: `${config.name}2`, subjects: [`${config.name}.a`] };
    const text = await problems(provisionStream(connection, other, 'auto', silentLog));
    expect(text).toContain(`subjects: "${config.name}.a" is stored by stream "${config.name}" already`);
  });

  it('is only looked at with "verify", and not even that with "off"', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'off', silentLog);
    expect(await problems(provisionStream(connection, config, 'verify', silentLog))).toContain('does not exist');
    await provisionStream(connection, config, 'auto', silentLog);
    const changed = { ...config, max_age: DAY, max_msgs: 10 };
    const text = await problems(provisionStream(connection, changed, 'verify', silentLog));
    expect(text).toContain('max_age: have 7d, want 1d');
    expect(text).toContain('max_msgs: have -1, want 10');
    expect((await connection.manager.streams.info(config.name)).config.max_age).toBe(7 * DAY);
  });

  it('tells when the server does not keep a setting', async (context) => {
    const [major = 0, minor = 0] = server.version.split('.').map(Number);
    context.skip(major > 2 || minor >= 12, `nats-server ${server.version} knows all settings`);
    const text = await problems(
      provisionStream(connection, { ...streamConfig(), allow_atomic: true }, 'auto', silentLog),
    );
    expect(text).toContain('allow_atomic: have nothing, want true');
    expect(text).toContain(`nats-server ${server.version} does not keep this setting`);
  });
});
