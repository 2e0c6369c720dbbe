import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { listConsumers, provisionConsumer, provisionStream } from '../../../lib/stream/provision.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { silentLog } from '../../support/log.js';
import { DAY, durable, SECOND, streamConfig } from './provision-room.js';
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

describe('many at once', () => {
  it('ten connections provision the same things', async () => {
    const config = streamConfig();
    const connections = await Promise.all(Array.from({ length: 10 }, () => connectTo(server)));
    const consumers = Array.from({ length: 5 }, (_, index) => ({
      ...durable(`${config.name}.step.${index}.>`),
      durable_name: `step${index}`,
    }));
    await Promise.all(
      connections.map(async (each) => {
        await provisionStream(each, config, 'auto', silentLog);
        await Promise.all(
          consumers.map((consumer) => provisionConsumer(each, config.name, consumer, 'auto', silentLog)),
        );
      }),
    );
    // A new release: the same settings changed by all of them.
    const later = { ...config, max_age: DAY };
    await Promise.all(
      connections.map(async (each) => {
        await provisionStream(each, later, 'auto', silentLog);
        for (const consumer of consumers) {
          await provisionConsumer(each, config.name, { ...consumer, ack_wait: 5 * SECOND }, 'auto', silentLog);
        }
      }),
    );
    expect((await connection.manager.streams.info(config.name)).config.max_age).toBe(DAY);
    expect(await listConsumers(connection, config.name)).toHaveLength(5);
    await Promise.all(connections.map((each) => each.close()));
  });

  it('processes provision the same things', { timeout: 120_000 }, async () => {
    const config = streamConfig();
    const consumers = [durable(`${config.name}.step.price.>`)];
    const script = fileURLToPath(new URL('./provision-process.ts', import.meta.url));
    const run = promisify(execFile);
    const args = [
      '--import',
      '@swc-node/register/esm-register',
      script,
      server.url,
      JSON.stringify({ config, consumers }),
    ];
    const outputs = await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, args)));
    expect(outputs.map(({ stdout }) => stdout.trim())).toEqual(['done', 'done', 'done', 'done']);
    expect(await listConsumers(connection, config.name)).toMatchObject([{ name: 'price' }]);
  });
});
