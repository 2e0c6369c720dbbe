import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaseKeeper } from '../../../../lib/flow/runtime/lease-keeper.js';
import type { Delivery } from '../../../../lib/stream/delivery.js';

describe('the leases of a step', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  it.each([100, 200, 250, 1_000, 30_000])(
    'are extended at least three times within each ack wait of %i ms',
    (ackWaitMs) => {
      const startedAt = performance.now();
      const extendedAt: number[] = [0];
      const delivery = { settled: false, extend: () => extendedAt.push(performance.now() - startedAt) };
      const keeper = new LeaseKeeper(ackWaitMs);
      // One that is not held from the first tick on is extended between the ticks of the others.
      keeper.hold({ settled: true } as Partial<Delivery> as Delivery);
      vi.advanceTimersByTime(ackWaitMs / 10);
      extendedAt[0] = performance.now() - startedAt;
      keeper.hold(delivery as Partial<Delivery> as Delivery);
      vi.advanceTimersByTime(10 * ackWaitMs);
      keeper.close();
      const gaps = extendedAt.slice(1).map((at, index) => at - extendedAt[index]!);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(ackWaitMs / 3);
      // And not without need.
      expect(gaps.length).toBeLessThan(10 * 7);
    },
  );
});
