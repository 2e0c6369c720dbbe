import { afterEach, describe, expect, it, vi } from 'vitest';
import { reconnectPause } from '../../../lib/connection/reconnect-pause.js';

describe('the pause before another attempt to connect', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    [0, 2_000],
    [0.5, 2_500],
    [1 - Number.EPSILON, 3_000],
  ])('is the wait and up to half of it: by chance %d of two seconds', (chance, expected) => {
    vi.spyOn(Math, 'random').mockReturnValue(chance);
    expect(reconnectPause(2_000)).toBeCloseTo(expected);
  });

  it('is never the same for all clients, nor out of its bounds', () => {
    const pauses = Array.from({ length: 1_000 }, () => reconnectPause(2_000));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(2_000);
    expect(Math.max(...pauses)).toBeLessThan(3_000);
    expect(new Set(pauses).size).toBeGreaterThan(900);
    const quarters = new Set(pauses.map((pause) => Math.floor((pause - 2_000) / 250)));
    expect([...quarters].toSorted()).toEqual([0, 1, 2, 3]);
  });
});
