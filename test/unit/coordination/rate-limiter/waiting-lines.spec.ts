import { expect, it, vi } from 'vitest';
import { CancelledError, ConnectionError } from '../../../../lib/common/errors.js';
import { MemoryRateLimiter } from '../../../../lib/coordination/rate-limiter/memory-rate-limiter.js';
import { StoreFallback } from '../../../../lib/coordination/rate-limiter/store-fallback.js';
import { WaitingLines } from '../../../../lib/coordination/rate-limiter/waiting-lines.js';
import { silentLog } from '../../../support/log.js';

it('asks for nobody who gives up with the first of the line', async () => {
  const limiter = new MemoryRateLimiter({ limit: 1, window: '1h' });
  limiter.consume('key');
  const asked: (readonly number[])[] = [];
  const serve = (key: string, costs: readonly number[]) => {
    asked.push(costs);
    return Promise.resolve({ served: 0, decision: limiter.consume(key) });
  };
  const lines = new WaitingLines('test', serve, new AbortController().signal);
  const controller = new AbortController();
  const { signal } = controller;
  const ends = Promise.allSettled([1, 2, 3].map((cost) => lines.wait('key', cost, signal)));
  const other = lines.wait('key', 4, undefined);
  // The line stands by now.
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  for (const end of await ends) expect(end.status === 'rejected' && end.reason).toBeInstanceOf(CancelledError);
  expect(asked).toEqual([[1], [4]]);
  const closed = expect(other).rejects.toThrow('is closed');
  lines.close();
  await closed;
});

it('asks the server again soon, however long what decides in its place would have one wait', async () => {
  vi.useFakeTimers();
  try {
    const insurance = new MemoryRateLimiter({ limit: 1, window: '1h' });
    insurance.consume('key');
    const fallback = new StoreFallback({ name: 'test', onStoreError: insurance, limits: [] }, silentLog);
    const server = new MemoryRateLimiter({ limit: 1, window: '1h' });
    let isAway = true;
    const serve = async (key: string) => {
      const error = new ConnectionError('The connection is lost.');
      const decision = isAway ? await fallback.decide('consume', key, 1, error) : server.consume(key);
      return { served: decision.allowed ? 1 : 0, decision };
    };
    const lines = new WaitingLines('test', serve, new AbortController().signal);
    const waiting = lines.wait('key', 1, undefined);
    await vi.advanceTimersByTimeAsync(10_000);
    isAway = false;
    await vi.advanceTimersByTimeAsync(2_000);
    // Nobody waits any more: the wait is over, or rejected here.
    lines.close();
    expect(await waiting).toMatchObject({ allowed: true });
  } finally {
    vi.useRealTimers();
  }
});
