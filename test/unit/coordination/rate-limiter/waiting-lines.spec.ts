import { expect, it } from 'vitest';
import { CancelledError } from '../../../../lib/common/errors.js';
import { MemoryRateLimiter } from '../../../../lib/coordination/rate-limiter/memory-rate-limiter.js';
import { WaitingLines } from '../../../../lib/coordination/rate-limiter/waiting-lines.js';

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
