import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ExpiryAlarm } from '../../../lib/coordination/expiry-alarm.js';

const TTL_MS = 10_000;
const AT = 1_000_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** When the alarm wakes, from now on; `undefined`: not within a month. */
async function wakes(
  use: (alarm: ExpiryAlarm, tell: (clock: { now(): number }) => void) => void,
): Promise<number | undefined> {
  const started = Date.now();
  let wokeAfter: number | undefined;
  const listeners = new Set<(clock: { now(): number }) => void>();
  const source: ConstructorParameters<typeof ExpiryAlarm>[1] = {
    tell(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  using alarm = new ExpiryAlarm(TTL_MS, source, () => (wokeAfter ??= Date.now() - started));
  use(alarm, (clock) => {
    for (const listener of listeners) listener(clock);
  });
  await vi.advanceTimersByTimeAsync(30 * 86_400_000);
  return wokeAfter;
}

it('wakes when the time of the entry is over by the server', async () => {
  const woke = await wakes((alarm, tell) => {
    tell({ now: () => AT });
    alarm.set(new Date(AT - 4_000));
  });
  expect(woke).toBe(6_250);
});

it('takes an entry for new as long as the clock is not known', async () => {
  const entry = new Date(AT - 4_000);
  expect(await wakes((alarm) => alarm.set(entry))).toBe(10_250);
  const told = await wakes((alarm, tell) => {
    alarm.set(entry);
    tell({ now: () => AT });
  });
  expect(told).toBe(6_250);
});

it('begins anew with every write', async () => {
  const woke = await wakes((alarm, tell) => {
    tell({ now: () => AT });
    alarm.set(new Date(AT - 9_000));
    alarm.set(new Date(AT));
  });
  expect(woke).toBe(10_250);
});

it.each([
  [10_300, 250],
  [11_250, 1_000],
  [99_000, 5_000],
])('looks again, ever more rarely, at an entry that outlives its time: %s ms old', async (ageMs, expected) => {
  const woke = await wakes((alarm, tell) => {
    tell({ now: () => AT });
    alarm.set(new Date(AT - ageMs));
  });
  expect(woke).toBe(expected);
});

it('does not wake for what is not there, nor when it is over', async () => {
  expect(await wakes((_alarm, tell) => tell({ now: () => AT }))).toBeUndefined();
  const disposed = await wakes((alarm, tell) => {
    alarm.set(new Date(AT));
    alarm[Symbol.dispose]();
    tell({ now: () => AT });
  });
  expect(disposed).toBeUndefined();
});
