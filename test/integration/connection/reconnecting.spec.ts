import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';

/** After so many the client alone would give the connection up. */
const ATTEMPTS_OF_THE_CLIENT = 10;

describe('a connection that is lost', () => {
  it('is tried again and again, also after the attempts at which the client would give it up', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using connection = await FlowConnection.connect({ servers: proxy.url, reconnectWait: 10 }, silentLog);
    await server.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss' });
    const before = proxy.accepted;
    await until(() => proxy.accepted > before + 2 * ATTEMPTS_OF_THE_CLIENT, { what: 'many attempts' });
    expect(connection.status).toBe('disconnected');
    await server.restart();
    await until(() => connection.status === 'connected', { what: 'the return' });
    expect(await connection.health()).toMatchObject({ healthy: true, disconnects: 1 });
  });

  it('is given up after as many as maxReconnectAttempts says', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    const options = { servers: proxy.url, reconnectWait: 10, maxReconnectAttempts: 3 };
    await using connection = await FlowConnection.connect(options, silentLog);
    await server.kill();
    await until(() => connection.status === 'closed', { what: 'the end of its patience' });
    expect(proxy.accepted).toBe(1 + 3);
  });

  it('is tried again after pauses that differ, within their bounds', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await FlowConnection.connect({ servers: server.url, reconnectWait: '4s' }, silentLog);
    // What the client was given: measuring the pauses would need a clock.
    const { options } = connection.nats as unknown as { options: { reconnectDelayHandler(): number } };
    const pauses = Array.from({ length: 100 }, () => options.reconnectDelayHandler());
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(4_000);
    expect(Math.max(...pauses)).toBeLessThan(6_000);
    expect(new Set(pauses).size).toBeGreaterThan(90);
  });
});
