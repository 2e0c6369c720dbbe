import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConnectionError, OperationTimeoutError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';
import { openTallies } from './store-fixture.js';
import { a, b, counts, move } from './transaction-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('a transaction whose connection breaks', () => {
  beforeEach((context) => needsServer(context, server, '2.12', 'a transaction'));

  it('is applied once when its reply is lost: the entries tell', async () => {
    await using proxy = await CuttingProxy.start(server);
    const bucket = { bucket: 'lost', transactions: true };
    await using at = await openTallies(proxy.url, bucket);
    await using other = await openTallies(server.url, bucket);
    for (let round = 1; round <= 3; round++) {
      // Between its reads and its write.
      const moved = at.store.transaction([a, b], ([one, two]) => {
        one!.count += 1;
        two!.count -= 1;
        proxy.dropRepliesAfter(0);
      });
      await until(async () => (await counts(other.store, b))[0] === -round, { what: 'the write without a reply' });
      // Others write on top of one of the two.
      if (round > 1) await other.store.update(a, 100);
      proxy.restore();
      expect((await moved).map((state) => state?.count)).toEqual([round === 3 ? 103 : round, -round]);
    }
    expect(await counts(other.store, a, b)).toEqual([203, -3]);
  });

  it('is not waited for beyond the timeout when the server is there and silent', async () => {
    await using proxy = await CuttingProxy.start(server);
    const options = { bucket: 'silent', transactions: true, timeout: '400ms' } as const;
    await using at = await openTallies(proxy.url, options, { requestTimeout: '1h' });
    await move(at.store, a, b, 1);
    await using patient = await openTallies(proxy.url, { ...options, timeout: '3s' }, { requestTimeout: '1h' });
    proxy.holdReplies();
    const ends: string[] = [];
    const longer = expect(patient.store.read(a))
      .rejects.toThrow(ConnectionError)
      .then(() => ends.push('a longer timeout'));
    await expect(move(at.store, a, b, 1)).rejects.toThrow(OutcomeUnknownError);
    // Nothing is remembered any more: it looks first.
    await expect(move(at.store, a, b, 1)).rejects.toThrow(OperationTimeoutError);
    ends.push('both transactions');
    await longer;
    expect(ends).toEqual(['both transactions', 'a longer timeout']);
    proxy.deliverReplies();
  });

  it('is repeated when it did not arrive, and not when it was cancelled', async () => {
    await using proxy = await CuttingProxy.start(server);
    const bucket = { bucket: 'arrives', transactions: true };
    await using at = await openTallies(proxy.url, bucket);
    await using other = await openTallies(server.url, bucket);
    let calls = 0;
    const increase = (drafts: { count: number }[]): void => {
      for (const draft of drafts) draft.count += 1;
      calls += 1;
      if (calls > 1) return;
      proxy.cut();
    };
    expect((await at.store.transaction([a, b], increase)).map((state) => state?.count)).toEqual([1, 1]);
    const early = new AbortController();
    const cancelled = at.store.transaction([a, b], ([one]) => ((one!.count += 10), early.abort(), undefined), {
      signal: early.signal,
    });
    await expect(cancelled).rejects.toThrow(/^The transaction of "a", "b" in bucket "arrives" was cancelled/);
    const late = new AbortController();
    const sent = at.store.transaction([a, b], ([one]) => ((one!.count += 100), proxy.dropRepliesAfter(0), undefined), {
      signal: late.signal,
    });
    await until(async () => (await counts(other.store, a))[0] === 101, { what: 'the write without a reply' });
    late.abort();
    await expect(sent).rejects.toThrow('already sent and perhaps applied, was cancelled');
    proxy.restore();
    expect((await move(at.store, a, b, 1)).map((state) => state?.count)).toEqual([100, 2]);
  });

  it('is applied once or not at all over cuts and a server kill', { timeout: 90_000 }, async () => {
    await using own = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(own);
    const bucket = { bucket: 'cuts', transactions: true };
    await using at = await openTallies(proxy.url, bucket);
    await using direct = await openTallies(own.url, bucket);
    let done = 0;
    const work = async (worker: number): Promise<void> => {
      for (let index = 0; index < 40; index++) {
        await move(at.store, { id: `from${worker}` }, { id: `to${worker % 2}` }, -1);
        done += 1;
      }
    };
    const disturb = async (): Promise<void> => {
      const reach = (count: number) => until(() => done > count, { what: `${count} transactions`, timeoutMs: 60_000 });
      for (const count of [20, 40, 60]) {
        await reach(count);
        proxy.cut();
      }
      await reach(90);
      await own.kill();
      await own.restart();
    };
    await Promise.all([disturb(), ...[0, 1, 2, 3].map(work)]);
    const ids = ['from0', 'from1', 'from2', 'from3', 'to0', 'to1'];
    expect(await counts(direct.store, ...ids.map((id) => ({ id })))).toEqual([40, 40, 40, 40, -80, -80]);
  });
});
