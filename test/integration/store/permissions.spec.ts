import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConnectionError } from '../../../lib/common/errors.js';
import { needsServer } from '../../support/needs-server.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flow-permissions-'));
  const config = join(directory, 'server.conf');
  await writeFile(
    config,
    `authorization { users = [
      { user: all, password: x }
      { user: reader, password: x, permissions: { publish: { deny: "$KV.>" } } }
      { user: writer, password: x, permissions: { publish: { deny: "$JS.API.STREAM.MSG.GET.>" } } }
    ] }`,
  );
  server = await EmbeddedNatsServer.start({ args: ['-c', config] });
  await rm(directory, { recursive: true });
});
afterAll(() => server.stop());

const as = (user: string, options: { bucket: string; transactions?: boolean }) =>
  openTallies(server.url, { ...options, timeout: '3s' }, { user, password: 'x' });
const key = { id: 'k' };
const like = (pattern: RegExp): unknown => expect.stringMatching(pattern);

describe('what the server does not let a store do', () => {
  it('is refused at once where it is to write, and nothing of it is in doubt', async () => {
    const options = { bucket: 'unwritable' };
    await using all = await as('all', options);
    await all.store.update(key, 1);
    await using reader = await as('reader', options);
    const updates = await Promise.allSettled([reader.store.update(key, 1), reader.store.update(key, 1)]);
    for (const update of updates)
      expect(update).toMatchObject({
        reason: {
          constructor: ConnectionError,
          message: like(/let us publish .*grant the permission/),
        },
      });
    expect(await reader.store.read(key)).toEqual({ count: 1, by: [] });
  });

  it('is refused at once where it is to read', async () => {
    const options = { bucket: 'unreadable' };
    await using all = await as('all', options);
    await all.store.update(key, 1);
    await using writer = await as('writer', options);
    const refusal = {
      constructor: ConnectionError,
      message: like(/Permissions .*Grant the permission/),
    };
    await expect(writer.store.update(key, 1)).rejects.toMatchObject(refusal);
    await expect(writer.store.read(key)).rejects.toMatchObject(refusal);
    await expect(writer.store.keys().next()).rejects.toMatchObject(refusal);
  });

  it('is refused at once where it is to write several entries', async (context) => {
    needsServer(context, server, '2.12', 'a transaction');
    const options = { bucket: 'unwritables', transactions: true };
    await using all = await as('all', options);
    await all.store.update(key, 1);
    await using reader = await as('reader', options);
    await expect(reader.store.transaction([key], ([draft]) => void (draft!.count += 1))).rejects.toMatchObject({
      constructor: ConnectionError,
      message: like(/Permissions .*Grant the permission/),
    });
  });
});
