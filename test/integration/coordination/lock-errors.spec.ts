import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { CancelledError, ConnectionError } from '../../../lib/common/errors.js';
import { LockTimeoutError } from '../../../lib/common/lock-errors.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

async function openMutex(url = at.url) {
  const opened = await openRoom(url);
  return { ...opened, mutex: opened.use(makeMutex(opened.room, { name: 'errors' })) };
}

describe('waiting for a mutex in vain', () => {
  it('says that the server is away, when it is', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using one = await openMutex(server.url);
    await one.mutex.ready();
    await server.kill();
    await until(() => one.connection.status !== 'connected', { what: 'the loss to be seen' });
    const error: unknown = await one.mutex.acquire('k', { wait: '200ms' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as Error).message).toContain('could not be reached');
    expect((error as Error).cause).toBeInstanceOf(LockTimeoutError);
    await server.restart();
  });

  it('says that the server was silent, when it was', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using one = await openMutex(proxy.url);
    await one.mutex.ready();
    proxy.dropRepliesAfter(0);
    const waiting = one.mutex.acquire('silent', { wait: '200ms' });
    await expect(waiting).rejects.toThrow('The server did not say within 200 ms whether Mutex "errors", key "silent"');
    proxy.restore();
  });

  it('says when the caller may wait for itself', async () => {
    await using one = await openMutex();
    await using other = await openMutex();
    const nested = one.mutex.runExclusive('self', async () => {
      await expect(other.mutex.acquire('self', { wait: '50ms' })).rejects.toThrow('Wait longer');
      return one.mutex.acquire('self', { wait: '50ms' });
    });
    await expect(nested).rejects.toThrow(LockTimeoutError);
    await expect(nested).rejects.toThrow('This process holds it');
  });

  it('says what was wrong with a time', async () => {
    await using one = await openMutex();
    await expect(one.mutex.acquire('x', { ttl: '2d' })).rejects.toThrow('"2d" is not between 1 second and 1 hour');
    expect(() => makeMutex(one.room, { name: 'short', ttl: 5 })).toThrow('5 ms is not between 1 second and 1 hour');
  });

  it('warns of no leak when many share one signal', async () => {
    await using one = await openMutex();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    await using held = await one.mutex.acquire('many');
    const abort = new AbortController();
    const { signal } = abort;
    const waits = Array.from({ length: 1_000 }, () => one.mutex.acquire('many', { signal }));
    const others = Array.from({ length: 1_000 }, (_, index) => one.mutex.tryAcquire(`key-${index}`, { signal }));
    await Promise.all(others);
    abort.abort();
    const outcomes = await Promise.allSettled(waits);
    const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as unknown) : outcome));
    expect(reasons.filter((reason) => !(reason instanceof CancelledError))).toEqual([]);
    // Warnings are told in a tick of their own.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    expect(held.signal.aborted).toBe(false);
  });
});
