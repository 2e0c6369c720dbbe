import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { LockLostError } from '../../../lib/common/lock-errors.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { until } from '../../support/until.js';
import { fencedWrite, openAccounts } from './support/accounts.js';
import { openRoom } from './support/coordination-fixture.js';
import type { HolderMessage } from './support/mutex-holder.js';
import { storedTable } from './support/stored-table.js';
import { ToldProcess } from './support/told-process.js';

const TTL = 1_500;

/** A process that can hold a key. */
function startHolder(url: string, key: string): Promise<ToldProcess<HolderMessage>> {
  return ToldProcess.start(new URL('./support/mutex-holder.ts', import.meta.url), [url, key, String(TTL)]);
}

describe('the lease of another process', () => {
  it('is lost when that is stopped for longer than it lasts, and what it writes later is refused', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using holder = await startHolder(server.url, 'stopped');
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const accounts = await openAccounts(own.room);
    holder.send('acquire');
    const { token } = await holder.told('held');
    holder.send('write');
    await holder.told('written');

    holder.process.kill('SIGSTOP');
    const lease = await mutex.acquire('stopped');
    expect(lease.fencingToken).toBeGreaterThan(token!);
    await fencedWrite(accounts, 'stopped', lease, 'successor');
    // The holder goes on as if nothing had happened: it does not even look at its signal.
    holder.send('write');
    holder.process.kill('SIGCONT');

    expect(await holder.told('refused')).toMatchObject({ code: 'LOCK_LOST' });
    expect(await holder.told('lost')).toMatchObject({ code: 'LOCK_LOST' });
    expect(await accounts.read('stopped')).toEqual({ fence: lease.fencingToken, writers: ['holder', 'successor'] });
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
  });

  it('goes to the next one when that is killed, and not before its time is over', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using holder = await startHolder(server.url, 'killed');
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const stored = () => storedTable(own.connection.manager, 'flow_lock_test', 'killed');
    holder.send('acquire');
    const { token } = await holder.told('held');
    const waiting = mutex.acquire('killed');
    await holder.kill();
    const [last] = (await stored()).table.holders;
    const lease = await waiting;
    expect(lease.fencingToken).toBeGreaterThan(token!);
    expect((await stored()).timeMs).toBeGreaterThan(Number(last?.deadlineMs));
    await lease.release();
  });

  it('is passed over when it only waited and was killed', { timeout: 60_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    await using holder = await startHolder(server.url, 'dead-waiter');
    await using own = await openRoom(server.url);
    await using third = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const last = third.use(makeMutex(third.room, { name: 'test' }));
    const lease = await mutex.acquire('dead-waiter');
    const waiters = async (): Promise<number> =>
      (await storedTable(own.connection.manager, 'flow_lock_test', 'dead-waiter')).table.waiters.length;
    holder.send('acquire');
    await until(async () => (await waiters()) === 1, { what: 'the holder to stand in line' });
    const waiting = last.acquire('dead-waiter');
    await until(async () => (await waiters()) === 2, { what: 'the last one to stand in line' });
    await holder.kill();
    await lease.release();
    await using next = await waiting;
    expect(next.signal.aborted).toBe(false);
  });
});

describe('the processes that wait for a lease', () => {
  it('get it in the order in which they came', { timeout: 60_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const holders = await Promise.all(Array.from({ length: 4 }, () => startHolder(server.url, 'order')));
    // No renewal of it is to be taken for somebody who comes.
    const lease = await mutex.acquire('order', { ttl: '1h' });
    const lastRevision = async (): Promise<number> =>
      (await own.connection.manager.streams.info('KV_flow_lock_test')).state.last_seq;
    const shuffled = [2, 0, 3, 1].map((index) => holders[index]!);
    for (const holder of shuffled) {
      const before = await lastRevision();
      holder.send('acquire');
      await until(async () => (await lastRevision()) > before, { what: 'a process to stand in line' });
    }
    await lease.release();
    const tokens: number[] = [lease.fencingToken];
    for (const holder of shuffled) {
      tokens.push((await holder.told('held')).token!);
      expect(holders.filter(({ last }) => last?.type === 'held')).toEqual([holder]);
      holder.send('release');
      await holder.told('released');
    }
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    for (const holder of holders) await holder[Symbol.asyncDispose]();
  });
});

describe('a lease without a server', () => {
  it('is lost before its time is over for others', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test', ttl: TTL }));
    const lease = await mutex.acquire('outage');
    const lost = once(lease.signal, 'abort');
    await server.kill();
    await lost;
    expect(lease.signal.reason).toBeInstanceOf(LockLostError);
    await server.restart();
    await using again = await mutex.acquire('outage');
    expect(again.fencingToken).toBeGreaterThan(lease.fencingToken);
    await lease.release();
    expect(again.signal.aborted).toBe(false);
  });

  it('outlives a restart of the server that is shorter than its time', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using own = await openRoom(server.url);
    await using other = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test', ttl: '6s' }));
    const others = other.use(makeMutex(other.room, { name: 'test' }));
    await others.ready();
    const lease = await mutex.acquire('restart');
    const waiting = others.acquire('restart');
    const holders = async () => (await storedTable(own.connection.manager, 'flow_lock_test', 'restart')).table.holders;
    const before = (await holders())[0]!;
    await server.kill();
    await server.restart();
    await until(() => own.connection.status === 'connected', { what: 'the connection' });
    const isRenewed = async (): Promise<boolean> =>
      (await holders()).some(({ id, deadlineMs }) => id === before.id && deadlineMs > before.deadlineMs);
    await until(isRenewed, { what: 'a renewal after the restart' });
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
    await using next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
  });
});
