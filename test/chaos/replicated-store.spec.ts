import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UNCHANGED } from '../../lib/store/engine/change.js';
import { NatsCluster } from '../support/nats-cluster.js';
import { needsServer } from '../support/needs-server.js';
import { until } from '../support/until.js';
import { collect, openTallies, type Tallies } from '../integration/store/store-fixture.js';
import type { ObjectStore } from '../../lib/store/engine/object-store.js';

/** Stores of one bucket with three replicas, each connected to another server. */
describe('a bucket with three replicas', { timeout: 120_000 }, () => {
  let cluster: NatsCluster;
  let opened: Awaited<ReturnType<typeof openTallies>>[] = [];
  let stores: ObjectStore<Tallies>[];
  beforeAll(async () => {
    cluster = await NatsCluster.start();
    await cluster.whenReplicating(60_000);
    const options = { bucket: 'replicated', replicas: 3, timeout: '60s' } as const;
    opened = await Promise.all(cluster.servers.map(({ url }) => openTallies(url, options)));
    stores = opened.map(({ store }) => store);
  }, 180_000);
  afterAll(async () => {
    for (const one of opened) await one[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  it('is read as the latest by every process; a replica may be behind, never ahead', async () => {
    const stale = { leader: 0, many: 0, any: 0 };
    const key = { id: 'read' };
    for (let round = 1; round <= 300; round++) {
      const writer = stores[round % 3]!;
      const reader = stores[(round + 1) % 3]!;
      await writer.update(key, 1);
      const [any, leader, [many]] = await Promise.all([
        reader.read(key, { consistency: 'any' }),
        reader.read(key),
        reader.readMany([key]),
      ]);
      if (leader?.count !== round) stale.leader += 1;
      if (many?.count !== round) stale.many += 1;
      if (any?.count !== round) stale.any += 1;
      expect(any?.count ?? 0).toBeLessThanOrEqual(round);
      // What it decides on is the latest, whatever was read before.
      expect((await reader.modify(key, () => UNCHANGED))?.count).toBe(round);
    }
    expect(stale).toMatchObject({ leader: 0, many: 0 });
  });

  it('is listed with everything that was acknowledged before', async () => {
    let missing = 0;
    for (let round = 1; round <= 200; round++) {
      await stores[round % 3]!.update({ id: `listed${round}` }, 1);
      const reader = stores[(round + 1) % 3]!;
      const keys = await collect(reader.keys());
      if (!keys.some(({ text }) => text === `listed${round}`)) missing += 1;
      const entries = await collect(reader.entries());
      if (!entries.some(({ key }) => key.text === `listed${round}`)) missing += 1;
    }
    expect(missing).toBe(0);
  });

  it('is told to a new watch with everything that was acknowledged before', async () => {
    let missing = 0;
    for (let round = 1; round <= 200; round++) {
      await stores[round % 3]!.update({ id: 'watched' }, 1);
      const reader = stores[(round + 1) % 3]!;
      let count = 0;
      for await (const event of reader.watch({ id: 'watched' })) {
        if (event.type === 'value') count = event.state.count;
        if (event.type === 'caught-up') break;
      }
      if (count < round) missing += 1;
    }
    expect(missing).toBe(0);
  });

  it('counts every update while its servers are killed one after the other', async (context) => {
    needsServer(context, cluster.servers[0]!, '2.10', 'keeping what was acknowledged when servers are killed');
    const keys = Array.from({ length: 10 }, (_, index) => ({ id: `count${index}` }));
    let done = 0;
    let stale = 0;
    const work = async (worker: number): Promise<void> => {
      const store = stores[worker % 3]!;
      for (let index = 0; index < 100; index++) {
        const key = keys[(index + worker) % keys.length]!;
        const { count } = await store.update(key, 1);
        // Another process, on another server, decides by the state of now.
        const seen = await stores[(worker + 1) % 3]!.modify(key, () => UNCHANGED);
        if ((seen?.count ?? 0) < count) stale += 1;
        done += 1;
      }
    };
    const disturb = async (): Promise<void> => {
      for (const [index, server] of cluster.servers.entries()) {
        await until(() => done > 100 + 250 * index, { what: 'updates', timeoutMs: 60_000 });
        await server.kill();
        await server.restart();
      }
    };
    await Promise.all([disturb(), ...Array.from({ length: 9 }, (_, worker) => work(worker))]);
    expect(stale).toBe(0);
    const states = await stores[0]!.readMany(keys);
    expect(states.map((state) => state?.count)).toEqual(keys.map(() => 90));
  });
});
