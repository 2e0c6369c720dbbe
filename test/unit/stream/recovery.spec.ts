import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Recovery, type RecoveryOptions } from '../../../lib/stream/recovery.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A recovery whose attempts fail until told otherwise. */
function failing(more: Partial<RecoveryOptions> = {}) {
  const seen = { attempts: 0, failures: [] as unknown[], ended: 0 };
  const recovery = new Recovery({
    wanted: () => true,
    attempt: () => {
      seen.attempts++;
      return Promise.reject(new Error(`attempt ${seen.attempts}`));
    },
    onFailure: (error) => seen.failures.push(error),
    onEnd: () => seen.ended++,
    ...more,
  });
  return { recovery, seen };
}

describe('Recovery', () => {
  it('tries at once, then after pauses that grow to five seconds', async () => {
    const { recovery, seen } = failing();
    recovery.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen.attempts).toBe(1);
    await vi.advanceTimersByTimeAsync(130);
    expect(seen.attempts).toBe(2);
    await vi.advanceTimersByTimeAsync(60_000);
    const inOneMinute = seen.attempts;
    expect(inOneMinute).toBeGreaterThan(12);
    expect(inOneMinute).toBeLessThan(24);
    expect(seen.failures).toHaveLength(inOneMinute);
  });

  it('runs one loop however often it is started, and ends once', async () => {
    let fail = true;
    const { recovery, seen } = failing({
      attempt: () => {
        seen.attempts++;
        return fail ? Promise.reject(new Error('no')) : Promise.resolve();
      },
    });
    recovery.start();
    recovery.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen.attempts).toBe(1);
    expect(recovery.running).toBe(true);
    fail = false;
    await vi.advanceTimersByTimeAsync(130);
    expect(recovery.running).toBe(false);
    expect(seen).toMatchObject({ attempts: 2, ended: 1 });
  });

  it('keeps pausing over runs that succeed without proof, until there is proof', async () => {
    const { recovery, seen } = failing({
      attempt: () => {
        seen.attempts++;
        return Promise.resolve();
      },
    });
    // What passes before the attempt of each run is made, at least and at most.
    for (const [least, most] of [
      [0, 0],
      [74, 126],
      [149, 251],
      [299, 501],
    ] as const) {
      const before = seen.attempts;
      recovery.start();
      await vi.advanceTimersByTimeAsync(least);
      expect(seen.attempts).toBe(before + (least === 0 ? 1 : 0));
      await vi.advanceTimersByTimeAsync(most - least);
      expect(seen.attempts).toBe(before + 1);
    }
    recovery.succeeded();
    recovery.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen.attempts).toBe(5);
  });

  it('hurries: ends the pause, and gives up an attempt that hangs', async () => {
    const signals: AbortSignal[] = [];
    const { recovery, seen } = failing({
      attempt: (signal) => {
        signals.push(signal);
        return signals.length === 1 ? new Promise<never>(() => undefined) : Promise.resolve();
      },
    });
    recovery.start();
    await vi.advanceTimersByTimeAsync(0);
    recovery.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
    expect(seen).toMatchObject({ failures: [], ended: 1 });
  });

  it('stops when it is not wanted any more', async () => {
    let wanted = true;
    const { recovery, seen } = failing({ wanted: () => wanted });
    recovery.start();
    await vi.advanceTimersByTimeAsync(0);
    wanted = false;
    await recovery.settle();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toMatchObject({ attempts: 1, ended: 1 });
    recovery.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen.attempts).toBe(1);
  });
});
