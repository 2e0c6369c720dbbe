import { nuid } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JetStreamRequestError } from '../../../lib/common/errors.js';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import {
  findStreamBySubject,
  listConsumers,
  provisionConsumer,
  provisionStream,
} from '../../../lib/stream/provision.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { silentLog } from '../../support/log.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { durable, problems, streamConfig } from './provision-room.js';
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

describe('looking around', () => {
  it('lists consumers with their backlog', async () => {
    const config = { ...streamConfig(), max_msgs_per_subject: -1 };
    await provisionStream(connection, config, 'auto', silentLog);
    await provisionConsumer(connection, config.name, durable(`${config.name}.a`), 'auto', silentLog);
    for (let n = 0; n < 3; n++) await connection.publisher.publish(`${config.name}.a`, new Uint8Array());
    expect(await listConsumers(connection, config.name)).toEqual([
      { name: 'price', description: 'step "price"', filters: [`${config.name}.a`], pending: 3, ackPending: 0 },
    ]);
    await expect(listConsumers(connection, 'NOWHERE')).rejects.toThrow(JetStreamRequestError);
  });

  it('lists consumers while others go away, also on an old server', async (context) => {
    needsOldServer(context);
    await using old = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    await using lister = await connectTo(old);
    await using other = await connectTo(old);
    const config = streamConfig();
    await provisionStream(lister, config, 'auto', silentLog);
    await provisionConsumer(lister, config.name, durable(`${config.name}.a`), 'auto', silentLog);
    let listed = 0;
    const list = async (): Promise<void> => {
      for (; listed < 500; listed++) {
        const names = (await listConsumers(lister, config.name)).map(({ name }) => name);
        expect(names).toContain('price');
      }
    };
    const comeAndGo = async (): Promise<void> => {
      while (listed < 500) {
        const { consumers } = other.manager;
        const adding = Array.from({ length: 20 }, () => consumers.add(config.name, { ack_policy: 'none' }));
        for (const { name } of await Promise.all(adding)) await consumers.delete(config.name, name);
      }
    };
    await Promise.all([list(), comeAndGo()]);
  });

  it('finds the stream of a subject or pattern', async () => {
    const config = streamConfig();
    await provisionStream(connection, config, 'auto', silentLog);
    expect(await findStreamBySubject(connection, `${config.name}.a.b`)).toBe(config.name);
    expect(await findStreamBySubject(connection, `${config.name}.*.b`)).toBe(config.name);
    expect(await findStreamBySubject(connection, 'nobody.stores.this')).toBeUndefined();
  });

  it('does not take a stream for a pattern that it stores only in part, or that several store', async () => {
    const base = `Q${nuid.next()}`;
    const one = { name: `${base}1`, subjects: [`${base}.eu.>`] };
    await provisionStream(connection, one, 'auto', silentLog);
    expect(await problems(findStreamBySubject(connection, `${base}.>`))).toContain(`only in part (${base}.eu.>)`);
    await provisionStream(connection, { name: `${base}2`, subjects: [`${base}.us.>`] }, 'auto', silentLog);
    expect(await problems(findStreamBySubject(connection, `${base}.>`))).toContain('is spread over the streams');
  });
});
