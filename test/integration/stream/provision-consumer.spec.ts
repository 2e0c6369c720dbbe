import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JetStreamRequestError, UnsupportedByServerError } from '../../../lib/common/errors.js';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { listConsumers, provisionConsumer, provisionStream } from '../../../lib/stream/provision.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { recordingLog, silentLog } from '../../support/log.js';
import { needsServer } from '../../support/needs-server.js';
import { durable, problems, SECOND, streamConfig } from './provision-room.js';
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

describe('a consumer', () => {
  it('is created once, and left alone when it fits', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const log = recordingLog();
    const consumer = durable(`${config.name}.step.price.>`);
    await provisionConsumer(connection, config.name, consumer, 'auto', log);
    await provisionConsumer(connection, config.name, consumer, 'auto', log);
    await provisionConsumer(connection, config.name, consumer, 'verify', log);
    expect(log.messages()).toEqual([`Consumer "price" of stream "${config.name}" created.`]);
  });

  it('is updated where it may be, and keeps its place', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const consumer = durable(`${config.name}.>`);
    await provisionConsumer(connection, config.name, consumer, 'auto', silentLog);
    const log = recordingLog();
    const changed = {
      ...consumer,
      ack_wait: 61 * SECOND,
      max_deliver: 7,
      max_ack_pending: 5,
      description: 'step "price", v2',
    };
    await provisionConsumer(connection, config.name, changed, 'auto', log);
    expect(log.messages('log')[0]).toContain('ack_wait: have 30s, want 61000ms');
    const info = await connection.manager.consumers.info(config.name, 'price');
    expect(info.config).toMatchObject({ ack_wait: 61 * SECOND, max_deliver: 7, max_ack_pending: 5 });
    await provisionConsumer(connection, config.name, changed, 'verify', log);
  });

  it('of another kind stays untouched, whoever made it', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const { manager } = connection;
    const foreign = { durable_name: 'price', ack_policy: AckPolicy.None, deliver_policy: DeliverPolicy.New };
    await manager.consumers.add(config.name, foreign);
    const text = await problems(
      provisionConsumer(connection, config.name, durable(`${config.name}.step.>`), 'auto', silentLog),
    );
    expect(text).toContain('ack_policy: have "none", want "explicit"');
    expect(text).toContain('deliver_policy: have "new", want "all"');
    expect(text).toContain(`filter: have [], want ["${config.name}.step.>"]`);
    expect(text).toContain(`nats consumer rm ${config.name} price`);
    expect((await manager.consumers.info(config.name, 'price')).config.ack_policy).toBe('none');
  });

  it('that pushes stays untouched', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const consumer = durable(`${config.name}.>`);
    await connection.manager.consumers.add(config.name, {
      durable_name: 'price',
      ack_policy: AckPolicy.Explicit,
      deliver_subject: 'push.here',
      filter_subject: `${config.name}.>`,
    });
    const text = await problems(provisionConsumer(connection, config.name, consumer, 'auto', silentLog));
    expect(text).toContain('deliver_subject: have "push.here", want nothing');
  });

  it('takes another filter only when it carries our description', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const consumer = durable(`${config.name}.a`);
    await provisionConsumer(connection, config.name, consumer, 'auto', silentLog);
    const log = recordingLog();
    await provisionConsumer(connection, config.name, { ...consumer, filter_subject: `${config.name}.b` }, 'auto', log);
    expect(log.messages('warn')[0]).toContain('Messages it has passed by do not come again');
    const { config: actual } = await connection.manager.consumers.info(config.name, 'price');
    expect(actual.filter_subject).toBe(`${config.name}.b`);
    const text = await problems(
      provisionConsumer(connection, config.name, { ...consumer, description: 'somebody else' }, 'auto', silentLog),
    );
    expect(text).toContain(`filter: have ["${config.name}.b"], want ["${config.name}.a"]`);
  });

  it('may have several filters from 2.10 on', async (context) => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const several = {
      ...durable(''),
      filter_subject: undefined,
      filter_subjects: [`${config.name}.b`, `${config.name}.a`],
    };
    if (!connection.capabilities.multipleFilters) {
      const refused = provisionConsumer(connection, config.name, several, 'auto', silentLog);
      await expect(refused).rejects.toThrow(UnsupportedByServerError);
    }
    needsServer(context, server, '2.10', 'A consumer with several filters');
    await provisionConsumer(connection, config.name, several, 'auto', silentLog);
    await provisionConsumer(
      connection,
      config.name,
      { ...several, filter_subjects: several.filter_subjects.toReversed() },
      'verify',
      silentLog,
    );
    const [summary] = await listConsumers(connection, config.name);
    expect(summary?.filters.toSorted()).toEqual([`${config.name}.a`, `${config.name}.b`]);
  });

  it('needs its stream', async () => {
    await expect(provisionConsumer(connection, 'NOWHERE', durable('x'), 'auto', silentLog)).rejects.toThrow(
      JetStreamRequestError,
    );
  });

  it('is refused in the words of the server when its settings do not go together', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    const consumer = { ...durable(`${config.name}.>`), max_deliver: 1, backoff: [SECOND, 2 * SECOND] };
    expect(await problems(provisionConsumer(connection, config.name, consumer, 'auto', silentLog))).toContain(
      'the server refuses',
    );
  });
});
