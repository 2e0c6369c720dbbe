import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { createObjectStore } from '../../../lib/store/engine/create-object-store.js';
import type { WatchOptions } from '../../../lib/store/engine/watch-events.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openTallies, Tallies, TallySchema } from './store-fixture.js';

const away = (connection: { readonly status: string }) =>
  until(() => connection.status === 'disconnected', { what: 'the loss of the connection' });

/** Half of what a start waits for the server: whoever ends within has been cancelled, not timed out. */
const TIMEOUT = { timeout: 15_000 };

describe('a watch that begins while the server is away', TIMEOUT, () => {
  const starts: WatchOptions[] = [{ from: 'last' }, { from: 'new' }, { from: 'history' }];

  it.each(starts)('ends without an error when its signal aborts: from $from', async (options) => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    await server.kill();
    await away(at.connection);
    const controller = new AbortController();
    const first = at.store.watch(undefined, { ...options, signal: controller.signal }).next();
    controller.abort();
    expect(await first).toEqual({ done: true, value: undefined });
  });

  it('leaves the others of its pattern waiting when it is cancelled, the first one too', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    await at.store.update({ id: 'a' }, 1);
    await server.kill();
    await away(at.connection);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = at.store.watch(undefined, { signal: one.signal }).next();
    const second = at.store.watch();
    const waiting = second.next();
    const third = at.store.watch(undefined, { signal: two.signal }).next();
    one.abort();
    two.abort();
    expect([(await first).done, (await third).done]).toEqual([true, true]);
    await server.restart();
    expect((await waiting).value).toMatchObject({ type: 'value', state: { count: 1 } });
    expect((await second.next()).value).toEqual({ type: 'caught-up' });
    await second.return();
    const { state } = await at.connection.manager.streams.info('KV_tallies');
    expect(state.consumer_count).toBe(0);
  });

  it('ends when the store closes, and when the application stops', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    const stop = new AbortController();
    const object = { bucket: 'tallies', schema: TallySchema };
    const environment = { mode: 'auto', log: silentLog, stopping: stop.signal } as const;
    const stopped = await createObjectStore(at.connection, new Tallies(), object, environment);
    await server.kill();
    await away(at.connection);
    const starts = [at.store.watch().next(), stopped.watch().next()];
    await at.store.close();
    stop.abort();
    expect((await Promise.all(starts)).map(({ done }) => done)).toEqual([true, true]);
    await stopped.close();
  });

  it('completes as an Observable when its signal aborts', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    await server.kill();
    await away(at.connection);
    const controller = new AbortController();
    const ended = new Promise<void>((resolve, reject) => {
      at.store.observe(undefined, { signal: controller.signal }).subscribe({ complete: resolve, error: reject });
    });
    controller.abort();
    await ended;
  });
});

describe('a second watch of what is new', TIMEOUT, () => {
  it('waits for a server that is away', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    const first = at.store.watch(undefined, { from: 'new' });
    expect((await first.next()).value).toEqual({ type: 'caught-up' });
    await server.kill();
    await away(at.connection);
    const second = at.store.watch(undefined, { from: 'new' });
    const begun = second.next();
    await server.restart();
    expect((await begun).value).toEqual({ type: 'caught-up' });
    await at.store.update({ id: 'a' }, 1);
    for (const watch of [first, second])
      expect((await watch.next()).value).toMatchObject({ type: 'value', state: { count: 1 } });
    await Promise.all([first.return(), second.return()]);
  });

  it('ends without an error when its signal aborts meanwhile', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    const first = at.store.watch(undefined, { from: 'new' });
    expect((await first.next()).value).toEqual({ type: 'caught-up' });
    await server.kill();
    await away(at.connection);
    const controller = new AbortController();
    const second = at.store.watch(undefined, { from: 'new', signal: controller.signal }).next();
    controller.abort();
    expect((await second).done).toBe(true);
    await first.return();
  });
});
