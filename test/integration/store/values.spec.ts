import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ApiSchema, SourceContextSchema, type Api, type SourceContext } from '@bufbuild/protobuf/wkt';
import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { DecodeError, EncodeError } from '../../../lib/common/errors.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { createObjectStore } from '../../../lib/store/engine/create-object-store.js';
import type { KvReducer } from '../../../lib/store/engine/kv-reducer.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { collect, openTallies, type Tally } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

/** Of `google.protobuf.Api` it knows only field 1, as an older program would. */
class Names implements KvReducer<SourceContext, string, string> {
  key = (name: string): string => name;
  empty = (): SourceContext => create(SourceContextSchema);
  apply(state: SourceContext, input: string): void {
    state.fileName = input;
  }
}

const environment = { mode: 'auto', log: silentLog } as const;

describe('values', () => {
  it('are plain Protobuf bytes that the NATS client alone reads and writes', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    const store = await createObjectStore(
      connection,
      new Names(),
      { bucket: 'interop', schema: SourceContextSchema },
      environment,
    );
    await store.update('a key, with: anything', 'ours');
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open('interop');
    const [key] = await collect(await kv.keys());
    const entry = await kv.get(key!);
    expect(fromBinary(SourceContextSchema, entry!.value).fileName).toBe('ours');

    await kv.put(key!, toBinary(SourceContextSchema, create(SourceContextSchema, { fileName: 'theirs' })));
    expect((await store.read('a key, with: anything'))?.fileName).toBe('theirs');
    expect((await store.update('a key, with: anything', 'ours again')).fileName).toBe('ours again');

    await kv.delete(key!);
    expect(await store.read('a key, with: anything')).toBeUndefined();
    expect((await store.update('a key, with: anything', 'anew')).fileName).toBe('anew');
    await kv.purge(key!);
    expect((await store.update('a key, with: anything', 'after a purge')).fileName).toBe('after a purge');
    expect(await store.delete('a key, with: anything')).toBe(true);
    expect((await kv.get(key!))?.operation).toBe('DEL');
    await store.close();
  });

  it('keep the fields that this program does not know', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    const store = await createObjectStore(
      connection,
      new Names(),
      { bucket: 'newer', schema: SourceContextSchema },
      environment,
    );
    const newer: Api = create(ApiSchema, { name: 'n', version: 'v7', methods: [{ name: 'm' }] });
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open('newer');
    await kv.put('k', toBinary(ApiSchema, newer));
    await Promise.all([store.update('k', 'x'), store.update('k', 'y')]);
    const entry = await kv.get('k');
    expect(fromBinary(ApiSchema, entry!.value)).toMatchObject({ name: 'y', version: 'v7', methods: [{ name: 'm' }] });
    await store.close();
  });

  it('that do not decode are reported with their place and never overwritten', async () => {
    await using at = await openTallies(server.url, { bucket: 'corrupt' });
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open('corrupt');
    await at.store.update({ id: 'bad' }, 1);
    const revision = await kv.put('bad', '{"count":');
    const failing = at.store.update({ id: 'bad' }, 1);
    await expect(failing).rejects.toThrow(DecodeError);
    await expect(failing).rejects.toThrow(`Bucket "corrupt", key "bad", revision ${revision}`);
    await expect(at.store.read({ id: 'bad' })).rejects.toThrow(DecodeError);
    expect((await kv.get('bad'))?.revision).toBe(revision);
    const [blocked, deleted] = await Promise.allSettled([
      at.store.update({ id: 'bad' }, 1),
      at.store.delete({ id: 'bad' }),
    ]);
    expect(blocked).toMatchObject({ status: 'rejected', reason: { code: 'DECODE' } });
    expect(deleted).toMatchObject({ status: 'fulfilled', value: true });
    expect(await at.store.update({ id: 'bad' }, 3)).toEqual({ count: 3, by: [] });
    expect(await at.store.update({ id: 'good' }, 1)).toEqual({ count: 1, by: [] });
  });

  it('that are too large are refused, and only the update that made them so', async () => {
    await using at = await openTallies(server.url, { bucket: 'small', maxValueBytes: 200 });
    const key = { id: 'k' };
    const add = (text: string): Promise<Tally> =>
      at.store.modify(key, (draft) => {
        draft.by.push(text);
      });
    const settled = await Promise.allSettled([add('a'), add('x'.repeat(300)), add('b')]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((settled[1] as PromiseRejectedResult).reason).toBeInstanceOf(EncodeError);
    expect((settled[1] as PromiseRejectedResult).reason).toMatchObject({
      message: expect.stringContaining('value of key "k" in bucket "small" has') as string,
    });
    expect((await at.store.read(key))?.by).toEqual(['a', 'b']);
  });

  it('beyond what the server takes are refused likewise', async () => {
    await using at = await openTallies(server.url, { bucket: 'large' });
    const key = { id: 'k' };
    const add = (text: string): Promise<Tally> =>
      at.store.modify(key, (draft) => {
        draft.by.push(text);
      });
    const settled = await Promise.allSettled([add('a'), add('x'.repeat(1_100_000)), add('b')]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await at.store.read(key))?.by).toEqual(['a', 'b']);
  });

  it('expire with the bucket, after which the key begins anew', async () => {
    await using at = await openTallies(server.url, { bucket: 'brief', ttl: '1s' });
    await at.store.update({ id: 'k' }, 41);
    await until(async () => (await at.store.read({ id: 'k' })) === undefined, { what: 'the entry to expire' });
    expect((await at.store.update({ id: 'k' }, 1)).count).toBe(1);
  });

  it('of an older schema version are migrated when they are read, and stay migrated when written', async () => {
    await using old = await openTallies(server.url, { bucket: 'versions' });
    await old.store.update({ id: 'k' }, 2);
    await using at = await openTallies(server.url, {
      bucket: 'versions',
      schemaVersion: 2,
      migrate: (state, from) => {
        (state as Tally).by.push(`from ${from}`);
      },
    });
    expect(await at.store.read({ id: 'k' })).toEqual({ count: 2, by: ['from 0'] });
    expect(await at.store.update({ id: 'k' }, 1)).toEqual({ count: 3, by: ['from 0'] });
    expect(await at.store.read({ id: 'k' })).toEqual({ count: 3, by: ['from 0'] });
  });

  it('of a newer schema version stay so when an older process writes them', async () => {
    await using old = await openTallies(server.url, { bucket: 'rollout', schemaVersion: 1 });
    await using at = await openTallies(server.url, {
      bucket: 'rollout',
      schemaVersion: 2,
      migrate: (state, from) => {
        (state as Tally).by.push(`from ${from}`);
      },
    });
    const key = { id: 'k' };
    await old.store.update(key, 1);
    await at.store.update(key, 1);
    // Once on what it remembers, which loses, and once on what it remembers then.
    for (let time = 0; time < 2; time++) await old.store.update(key, 1);
    expect(await at.store.update(key, 1)).toEqual({ count: 5, by: ['from 1'] });
    // What an older process makes anew is its own.
    await old.store.reset(key);
    expect(await at.store.read(key)).toEqual({ count: 0, by: ['from 1'] });
    await at.store.update(key, 1);
    await old.store.delete(key);
    await old.store.update(key, 7);
    expect(await at.store.read(key)).toEqual({ count: 7, by: ['from 1'] });
    await Promise.all([at.store.update(key, 1), old.store.reset(key), old.store.update(key, 1)]);
    expect((await at.store.read(key))?.by).toEqual(['from 1']);
  });

  it('that migrate refuses are reported with their place, and end no watch', async () => {
    await using old = await openTallies(server.url, { bucket: 'refused' });
    for (const id of ['a', 'bad', 'c']) await old.store.update({ id }, id === 'bad' ? 13 : 1);
    await using at = await openTallies(server.url, {
      bucket: 'refused',
      schemaVersion: 1,
      migrate: (state) => {
        if ((state as Tally).count === 13) throw new RangeError('unlucky');
      },
    });
    const place =
      'Bucket "refused", key "bad", revision 2 cannot be migrated from schemaVersion 0 to 1, since migrate threw RangeError: unlucky';
    const attempts = [() => at.store.update({ id: 'bad' }, 1), () => at.store.read({ id: 'bad' })];
    for (const attempt of attempts) {
      const failing = attempt();
      await expect(failing).rejects.toThrow(DecodeError);
      await expect(failing).rejects.toThrow(place);
      await expect(failing).rejects.toMatchObject({ cause: { message: 'unlucky' } });
    }
    const undecodable: string[] = [];
    const onUndecodable = ({ text }: { text: string }): void => void undecodable.push(text);
    const entries = await collect(at.store.entries(undefined, { onUndecodable }));
    expect([entries.map(({ key }) => key.text), undecodable]).toEqual([['a', 'c'], ['bad']]);
    const told: string[] = [];
    for await (const event of at.store.watch()) {
      if (event.type === 'caught-up') break;
      told.push(`${event.key.text} ${event.type}`);
    }
    expect(told).toEqual(['a value', 'bad undecodable', 'c value']);
    await at.store.reset({ id: 'bad' });
    expect((await at.store.update({ id: 'bad' }, 1)).count).toBe(1);
  });

  it('of several scopes share a bucket without seeing each other', async () => {
    await using a = await openTallies(server.url, { bucket: 'shared', scope: 'tenant a' });
    await using b = await openTallies(server.url, { bucket: 'shared', scope: 'tenant b' });
    await a.store.update({ id: 'k' }, 1);
    await b.store.update({ id: 'k' }, 2);
    expect((await a.store.read({ id: 'k' }))?.count).toBe(1);
    const keys = await collect(b.store.keys());
    expect(keys.map(({ parts }) => parts)).toEqual([['k']]);
    expect((await b.store.read(keys[0]!))?.count).toBe(2);
  });
});
