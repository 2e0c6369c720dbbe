import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConflictError } from '../../../lib/common/errors.js';
import { openTallies } from './store-fixture.js';

const run = promisify(execFile);

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);
const ascending = (numbers: number[]): number[] => numbers.sort((a, b) => a - b);

describe('many writers of one key', () => {
  it('lose no update and see no state twice: 8 connections in one process', async () => {
    const key = { id: 'eight' };
    const stores = await Promise.all(upTo(8).map(() => openTallies(server.url)));
    const results = await Promise.all(
      stores.map(async ({ store }) => {
        const own: number[] = [];
        for (let round = 0; round < 25; round++) {
          const states = await Promise.all(upTo(4).map(() => store.update(key, 1)));
          own.push(...states.map(({ count }) => count));
        }
        return own;
      }),
    );
    expect(ascending(results.flat())).toEqual(upTo(800));
    expect((await stores[0]!.store.read(key))?.count).toBe(800);
    for (const at of stores) await at[Symbol.asyncDispose]();
  });

  it('lose no update and starve no one: 4 processes', { timeout: 120_000 }, async () => {
    const script = fileURLToPath(new URL('./writer-process.ts', import.meta.url));
    // Lost attempts and not time: how long one takes is the machine's affair. Fewer than half of them are lost, so 20 in a
    // row are for who has no chance: one who decides on what is old, or who lets all the others in between.
    const args = [server.url, 'four', '1000', '16', '4', '20'];
    const loader = ['--import', '@swc-node/register/esm-register'];
    const processes = await Promise.all(upTo(4).map(() => run(process.execPath, [...loader, script, ...args])));
    const results = processes.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
    expect(ascending(results)).toEqual(upTo(4_000));
  });

  it('are told when their attempts are used up, and nothing of theirs is written', async () => {
    await using one = await openTallies(server.url);
    await using other = await openTallies(server.url);
    const key = { id: 'giving-up' };
    await one.store.update(key, 1);
    await other.store.update(key, 1);
    await expect(one.store.update(key, 100, { maxAttempts: 1 })).rejects.toThrow(ConflictError);
    expect((await other.store.read(key))?.count).toBe(2);
    expect((await one.store.update(key, 1, { maxAttempts: 1 })).count).toBe(3);
  });
});
