import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { openTallies } from './store-fixture.js';

describe('a bucket that another process deletes and makes anew', () => {
  it('is not written to on what was remembered of the old one, at the same revision', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    const key = { id: 'k' };
    for (let count = 0; count < 5; count++) await at.store.update(key, 100);
    {
      await using other = await openTallies(server.url);
      await other.store.deleteBucket();
    }
    await using anew = await openTallies(server.url);
    for (let count = 0; count < 5; count++) await anew.store.update(key, 1);
    expect((await anew.store.readEntry(key))?.revision).toBe(5);
    // What the server has told this connection until now has arrived.
    await at.connection.nats.flush();
    expect((await at.store.update(key, 1)).count).toBe(6);
    expect((await anew.store.update(key, 1)).count).toBe(7);
  });

  it('is forgotten when a read finds it gone, where the account is not told of it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flow-untold-'));
    const config = join(directory, 'server.conf');
    await writeFile(
      config,
      `authorization { users = [
        { user: all, password: x }
        { user: untold, password: x, permissions: { subscribe: { deny: "$JS.EVENT.>" } } }
      ] }`,
    );
    await using server = await EmbeddedNatsServer.start({ args: ['-c', config] });
    await rm(directory, { recursive: true });
    await using at = await openTallies(server.url, {}, { user: 'untold', password: 'x' });
    const key = { id: 'k' };
    for (let count = 0; count < 5; count++) await at.store.update(key, 100);
    {
      await using other = await openTallies(server.url, {}, { user: 'all', password: 'x' });
      await other.store.deleteBucket();
    }
    await expect(at.store.read(key)).rejects.toThrow('Is the bucket deleted, or not provisioned yet?');
    await using anew = await openTallies(server.url, {}, { user: 'all', password: 'x' });
    for (let count = 0; count < 5; count++) await anew.store.update(key, 1);
    expect((await at.store.update(key, 1)).count).toBe(6);
  });
});
