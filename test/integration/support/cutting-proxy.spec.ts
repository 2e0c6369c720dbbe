import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { connectForTest } from '../../support/connect-for-test.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { until } from '../../support/until.js';

const FAST_RECONNECT = { reconnectTimeWait: 10, reconnectJitter: 0, ignoreClusterUpdates: true };

describe('CuttingProxy', () => {
  it('cuts connections, which come back through it', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using nats = await connectForTest(proxy, FAST_RECONNECT);
    await nats.flush();
    proxy.cut();
    await until(() => proxy.accepted === 2, { what: 'the client to come back' });
    await nats.flush();
    expect(proxy.open).toBe(1);
  });

  it('loses replies while requests still arrive', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using direct = await connectForTest(server);
    const manager = await jetstreamManager(direct);
    await manager.streams.add({ name: 'S', subjects: ['s'] });
    await using nats = await connectForTest(proxy, FAST_RECONNECT);
    await jetstream(nats).publish('s', 'answered');
    proxy.dropRepliesAfter(0);
    await expect(jetstream(nats).publish('s', 'unanswered', { timeout: 200 })).rejects.toThrow();
    expect((await manager.streams.info('S')).state.messages).toBe(2);
    proxy.restore();
    await until(() => proxy.accepted === 2, { what: 'the client to come back' });
    expect((await jetstream(nats).publish('s', 'answered again')).seq).toBe(3);
  });

  it('rejects new connections until it is restored', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using nats = await connectForTest(proxy, FAST_RECONNECT);
    proxy.rejectNew(true);
    await expect(connectForTest(proxy, { reconnect: false })).rejects.toThrow();
    expect(proxy.accepted).toBe(1);
    proxy.restore();
    await nats.flush();
  });
});
