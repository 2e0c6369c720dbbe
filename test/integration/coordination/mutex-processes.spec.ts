import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { LockLostError } from '../../../lib/common/lock-errors.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { until } from '../../support/until.js';
import { fencedWrite, openAccounts } from './support/accounts.js';
import { openRoom } from './support/coordination-fixture.js';
import type { HolderMessage } from './support/mutex-holder.js';

const HOLDER = fileURLToPath(new URL('./support/mutex-holder.ts', import.meta.url));
const TTL = 1_500;
/** What a machine with other things to do may add. */
const SLACK = 2_000;

/** A process that can hold a key. */
class Holder implements AsyncDisposable {
  private readonly messages: HolderMessage[] = [];

  private constructor(readonly process: ChildProcess) {
    this.process.on('message', (message) => this.messages.push(message as HolderMessage));
  }

  static async start(url: string, key: string): Promise<Holder> {
    const execArgv = ['--import', '@swc-node/register/esm-register'];
    const holder = new Holder(fork(HOLDER, [url, key, String(TTL)], { execArgv }));
    await holder.told('ready');
    return holder;
  }

  told(...types: HolderMessage['type'][]): Promise<HolderMessage> {
    return until(() => this.messages.find(({ type }) => types.includes(type)), {
      what: `the holder to tell ${types.join(' or ')}`,
      timeoutMs: 20_000,
    });
  }

  /** Whether it has told that it has the lease, and not yet that it gave it back. */
  holds(): boolean {
    const last = this.messages.at(-1)?.type;
    return last === 'held';
  }

  ask(command: 'acquire' | 'write' | 'release'): void {
    this.process.send(command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }
}

describe('the lease of another process', () => {
  it('is lost when that is stopped for longer than it lasts, and what it writes later is refused', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using holder = await Holder.start(server.url, 'stopped');
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const accounts = await openAccounts(own.room);
    holder.ask('acquire');
    const { token } = await holder.told('held');
    holder.ask('write');
    await holder.told('written');

    holder.process.kill('SIGSTOP');
    const lease = await mutex.acquire('stopped');
    expect(lease.fencingToken).toBeGreaterThan(token!);
    await fencedWrite(accounts, 'stopped', lease, 'successor');
    // The holder goes on as if nothing had happened: it does not even look at its signal.
    holder.ask('write');
    holder.process.kill('SIGCONT');

    expect(await holder.told('refused')).toMatchObject({ code: 'LOCK_LOST' });
    expect(await holder.told('lost')).toMatchObject({ code: 'LOCK_LOST' });
    expect(await accounts.read('stopped')).toEqual({ fence: lease.fencingToken, writers: ['holder', 'successor'] });
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
  });

  it('goes to the next one within its time when that is killed', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using holder = await Holder.start(server.url, 'killed');
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    holder.ask('acquire');
    const { token } = await holder.told('held');
    const waiting = mutex.acquire('killed');
    const killed = performance.now();
    holder.process.kill('SIGKILL');
    const lease = await waiting;
    expect(lease.fencingToken).toBeGreaterThan(token!);
    const took = performance.now() - killed;
    // Its last renewal was at most a third of its time ago.
    expect(took).toBeGreaterThan(TTL / 2);
    expect(took).toBeLessThan(TTL + 500 + SLACK);
    await lease.release();
  });

  it('is passed over when it only waited and was killed', { timeout: 60_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    await using holder = await Holder.start(server.url, 'dead-waiter');
    await using own = await openRoom(server.url);
    await using third = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const last = third.use(makeMutex(third.room, { name: 'test' }));
    const lease = await mutex.acquire('dead-waiter');
    const bytes = async (): Promise<number> =>
      (await own.connection.manager.streams.info('KV_flow_lock_test')).state.bytes;
    const before = await bytes();
    holder.ask('acquire');
    await until(async () => (await bytes()) > before + 20, { what: 'the holder to stand in line' });
    const waiting = last.acquire('dead-waiter');
    await holder[Symbol.asyncDispose]();
    await lease.release();
    const released = performance.now();
    await using next = await waiting;
    expect(next.signal.aborted).toBe(false);
    expect(performance.now() - released).toBeLessThan(TTL + 500 + SLACK);
  });
});

describe('the processes that wait for a lease', () => {
  it('get it in the order in which they came', { timeout: 60_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    await using own = await openRoom(server.url);
    const mutex = own.use(makeMutex(own.room, { name: 'test' }));
    const holders = await Promise.all(Array.from({ length: 4 }, () => Holder.start(server.url, 'order')));
    // No renewal of it is to be taken for somebody who comes.
    const lease = await mutex.acquire('order', { ttl: '1h' });
    const lastRevision = async (): Promise<number> =>
      (await own.connection.manager.streams.info('KV_flow_lock_test')).state.last_seq;
    const shuffled = [2, 0, 3, 1].map((index) => holders[index]!);
    for (const holder of shuffled) {
      const before = await lastRevision();
      holder.ask('acquire');
      await until(async () => (await lastRevision()) > before, { what: 'a process to stand in line' });
    }
    await lease.release();
    const tokens: number[] = [lease.fencingToken];
    for (const holder of shuffled) {
      tokens.push((await holder.told('held')).token!);
      expect(holders.filter((other) => other.holds())).toEqual([holder]);
      holder.ask('release');
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
    const acquired = performance.now();
    const lost = once(lease.signal, 'abort');
    await server.kill();
    await lost;
    expect(lease.signal.reason).toBeInstanceOf(LockLostError);
    expect(performance.now() - acquired).toBeLessThan(TTL + TTL / 3 + SLACK);
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
    await server.kill();
    await server.restart();
    const restarted = performance.now();
    await until(() => performance.now() - restarted > 3_000, { what: 'a renewal after the restart' });
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
    await using next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
  });
});
