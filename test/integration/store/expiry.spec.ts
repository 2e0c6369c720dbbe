import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConfigurationError, UnsupportedByServerError } from '../../../lib/common/errors.js';
import { needsServer } from '../../support/needs-server.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { until } from '../../support/until.js';
import { collect, openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('an entry with a time to live', () => {
  beforeEach((context) => needsServer(context, server, '2.11', 'a time to live per entry'));

  it('expires, unless it is written again; then it begins anew', async () => {
    await using at = await openTallies(server.url, { bucket: 'brief', entryTtl: true });
    const { store } = at;
    await store.update({ id: 'stays' }, 1);
    await store.update({ id: 'renewed' }, 1, { ttl: '1s' });
    await store.update({ id: 'renewed' }, 1);
    await store.update({ id: 'goes' }, 1, { ttl: '1s' });
    expect((await store.read({ id: 'goes' }))?.count).toBe(1);
    await until(async () => (await store.read({ id: 'goes' })) === undefined, { what: 'it to expire' });
    expect((await collect(store.keys())).map(String).sort()).toEqual(['renewed', 'stays']);
    // What this process remembers of it does not bring it back.
    expect((await store.update({ id: 'goes' }, 5)).count).toBe(5);
    expect((await store.read({ id: 'renewed' }))?.count).toBe(2);
  });

  it('has the time of the last write, also of those that were committed together', async () => {
    await using at = await openTallies(server.url, { bucket: 'together', entryTtl: true });
    const { store, connection } = at;
    const key = { id: 'a' };
    await Promise.all([
      store.update(key, 1, { ttl: '1s' }),
      store.update(key, 1),
      store.update(key, 1, { ttl: '90s' }),
    ]);
    const message = await connection.manager.streams.getMessage('KV_together', { last_by_subj: '$KV.together.a' });
    expect(message?.header.get('Nats-TTL')).toBe('90s');
    expect((await store.read(key))?.count).toBe(3);
  });

  it('is told to watches as deleted where cleanupTtl is set', async () => {
    await using at = await openTallies(server.url, { bucket: 'told', entryTtl: true, cleanupTtl: '1m' });
    const { store, connection } = at;
    const told: string[] = [];
    const controller = new AbortController();
    const ended = (async () => {
      for await (const event of store.watch(undefined, { signal: controller.signal })) told.push(event.type);
    })();
    await until(() => told.length === 1, { what: 'the watch to start' });
    await store.update({ id: 'a' }, 1, { ttl: '1s' });
    await until(() => told.length === 3, { what: 'the expiry' });
    expect(told).toEqual(['caught-up', 'value', 'deleted']);
    expect((await store.update({ id: 'a' }, 2)).count).toBe(2);
    await store.delete({ id: 'a' });
    const marker = await connection.manager.streams.getMessage('KV_told', { last_by_subj: '$KV.told.a' });
    expect(marker?.header.get('Nats-TTL')).toBe('60s');
    controller.abort();
    await ended;
  });

  it('leaves nothing for good: what follows a marker goes too', async () => {
    await using at = await openTallies(server.url, { bucket: 'clean', cleanupTtl: '1m' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    // As `delete` writes it, with a time that a test can wait for.
    const headers = [
      ['KV-Operation', 'DEL'],
      ['Nats-TTL', '1s'],
    ] as const;
    await connection.publisher.publish('$KV.clean.a', new Uint8Array(), { headers });
    expect((await store.status()).keys).toBe(1);
    // The server says that the marker has expired, once, and that goes as well.
    await until(async () => (await store.status()).lastRevision === 3, { what: 'the marker to go' });
    const last = await connection.manager.streams.getMessage('KV_clean', { last_by_subj: '$KV.clean.a' });
    expect(last?.header.get('Nats-Marker-Reason')).toBe('MaxAge');
    expect(last?.header.get('Nats-TTL')).toBe('1m0s');
  });

  it('keeps what hides older revisions', async () => {
    await using at = await openTallies(server.url, { bucket: 'historic', history: 3, cleanupTtl: '1m' });
    const { store, connection } = at;
    const marker = async (id: string): Promise<string | undefined> =>
      (await connection.manager.streams.getMessage('KV_historic', { last_by_subj: `$KV.historic.${id}` }))?.header.get(
        'Nats-TTL',
      );
    for (const id of ['deleted', 'purged']) await store.update({ id }, 1);
    await store.delete({ id: 'deleted' });
    await store.purge({ id: 'purged' });
    expect(await marker('deleted')).toBe('');
    expect(await marker('purged')).toBe('60s');
  });

  it('is refused where it could not work', async () => {
    await using at = await openTallies(server.url, { bucket: 'plain' });
    await expect(at.store.update({ id: 'a' }, 1, { ttl: '5s' })).rejects.toThrow(/needs entryTtl: true/);
    await using brief = await openTallies(server.url, { bucket: 'plain', entryTtl: true });
    await expect(brief.store.update({ id: 'a' }, 1, { ttl: 10 })).rejects.toThrow(ConfigurationError);
    await expect(openTallies(server.url, { bucket: 'deep', history: 2, entryTtl: true })).rejects.toThrow(
      /needs a history of 1/,
    );
  });
});

it('a server without times to live says so at boot', async (context) => {
  needsOldServer(context);
  await using old = await EmbeddedNatsServer.start({ version: OLD_SERVER });
  await expect(openTallies(old.url, { entryTtl: true })).rejects.toThrow(UnsupportedByServerError);
  await expect(openTallies(old.url, { cleanupTtl: '1m' })).rejects.toThrow(/2\.11\.0.*2\.9/s);
});
