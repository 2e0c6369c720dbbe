import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { CancelledError } from '../../../lib/common/errors.js';
import { useFlowServer } from '../../support/flow-server.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();

describe('decisions that share a signal', () => {
  it('listen to it once, and no longer than they are on their way', async () => {
    await using one = await openLimiter(at.url, { name: 'shared-signal', limit: 2_000, window: '1h' });
    const { signal } = new AbortController();
    const asked = Array.from({ length: 1_000 }, (_, index) => one.limiter.consume(`key-${index % 10}`, { signal }));
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
    expect((await Promise.all(asked)).every(({ allowed }) => allowed)).toBe(true);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('are all given up when it aborts, and others of the key are not', async () => {
    await using one = await openLimiter(at.url, { name: 'aborted-signal', limit: 2_000, window: '1h' });
    const controller = new AbortController();
    const given = Array.from({ length: 100 }, () => one.limiter.consume('key', { signal: controller.signal }));
    const other = one.limiter.consume('key');
    controller.abort();
    const ends = await Promise.allSettled(given);
    expect(ends.every((end) => end.status === 'rejected' && end.reason instanceof CancelledError)).toBe(true);
    expect((await other).remaining).toBe(1_999);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });
});

describe('waits that share a signal', () => {
  it('listen to it once, are all given up when it aborts, and warn of no leak', async () => {
    await using one = await openLimiter(at.url, { name: 'shared-wait', limit: 1, window: '1h' });
    await Promise.all(['a', 'b', 'c'].map((key) => one.limiter.consume(key)));
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const controller = new AbortController();
    const { signal } = controller;
    const waits = Array.from({ length: 300 }, (_, index) => one.limiter.waitFor('abc'[index % 3]!, { signal }));
    const staying = one.limiter.waitFor('a');
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort();
    const ends = await Promise.allSettled(waits);
    expect(ends.every((end) => end.status === 'rejected' && end.reason instanceof CancelledError)).toBe(true);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    // Warnings are told in a tick of their own.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    // Whoever has another signal waits on, and is next.
    await one.limiter.reset('a');
    expect((await staying).allowed).toBe(true);
  });
});
