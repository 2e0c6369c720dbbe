import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { FlowError } from '../../lib/common/errors.js';
import { makeMutex } from '../../lib/coordination/mutex/make-mutex.js';
import type { Mutex } from '../../lib/coordination/mutex/mutex.js';
import { openRoom } from '../integration/coordination/support/coordination-fixture.js';
import { connectForTest } from '../support/connect-for-test.js';
import { NatsCluster } from '../support/nats-cluster.js';
import { needsServer } from '../support/needs-server.js';
import { until } from '../support/until.js';

const ROUNDS = 5;

/** What is done in the section: others have the time to come in, if they can. */
const work = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Visit {
  readonly token: number;
  readonly from: number;
  readonly to: number;
}

describe('a mutex on three replicas', () => {
  it('never has two holders, over the loss of one leader after the other', { timeout: 300_000 }, async (context) => {
    await using cluster = await NatsCluster.start();
    // 2.9.10 acknowledged one sequence twice, to plain publishes of a plain client; and stands still for a minute at times.
    needsServer(context, cluster.servers[0]!, '2.10', 'keeping what was acknowledged when servers are killed');
    const servers = cluster.servers.map(({ url }) => url);
    await using nats = await connectForTest(cluster.servers[0]!, { servers, maxReconnectAttempts: -1 });
    const manager = await until(() => jetstreamManager(nats, { timeout: 1_000 }), {
      what: 'a leader',
      timeoutMs: 60_000,
    });
    const rooms = await Promise.all(
      servers.map((url, index) =>
        openRoom(url, { connect: { servers: [url, ...servers.toSpliced(index, 1)] }, defaults: { replicas: 3 } }),
      ),
    );
    const mutexes = rooms.map((room) => room.use(makeMutex(room.room, { name: 'cluster', ttl: '3s' })));
    for (const mutex of mutexes) {
      // The leader places streams on the servers that it knows, and may not know all of them yet.
      await until(() => mutex.ready().then(() => true), { what: 'three replicas', timeoutMs: 60_000 });
    }

    const visits: Visit[] = [];
    let stop = false;
    const worker = async (mutex: Mutex): Promise<void> => {
      while (!stop) {
        try {
          await using lease = await mutex.acquire('section', { wait: '5s' });
          const from = performance.now();
          let lostAt: number | undefined;
          lease.signal.addEventListener('abort', () => (lostAt = performance.now()));
          await work(Math.random() * 20);
          visits.push({ token: lease.fencingToken, from, to: lostAt ?? performance.now() });
        } catch (error) {
          // Nobody leads for now.
          if (!(error instanceof FlowError)) throw error;
        }
      }
    };
    const working = mutexes.flatMap((mutex) => [worker(mutex), worker(mutex)]);
    for (let round = 1; round <= ROUNDS; round++) {
      const leader = await until(async () => (await manager.streams.info('KV_flow_lock_cluster')).cluster?.leader, {
        what: 'the leader of the bucket',
        timeoutMs: 60_000,
      });
      const victim = cluster.servers[Number(leader.slice('server-'.length))]!;
      const before = visits.length;
      await victim.kill();
      await until(() => visits.length > before + 5, { what: `work to go on after kill ${round}`, timeoutMs: 60_000 });
      await victim.restart();
    }
    stop = true;
    await Promise.all(working);
    for (const room of rooms) await room[Symbol.asyncDispose]();

    const byToken = visits.toSorted((a, b) => a.token - b.token);
    const overlaps = byToken.filter((visit, index) => {
      const next = byToken[index + 1];
      return next !== undefined && (next.token === visit.token || next.from < visit.to);
    });
    expect(overlaps).toEqual([]);
  });
});
