import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LeaderElection } from '../../../lib/coordination/election/leader-election.js';
import type { LeaseSpace } from '../../../lib/coordination/lease/lease-space.js';
import { recordingLog } from '../../support/log.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('says once that it cannot stand, and again when it could in between', async () => {
  const log = recordingLog();
  let lastsMs = 30_000;
  const acquireSometime = vi.fn(
    (_key: string, signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        const fail = (): void => reject(new Error('the server does not answer'));
        signal.addEventListener('abort', fail);
        setTimeout(fail, lastsMs);
      }),
  );
  const leases = { acquireSometime, close: () => Promise.resolve() } as unknown as LeaseSpace;
  const election = new LeaderElection('cleanup', leases, 10_000, log, new AbortController().signal);
  const warnings = () => log.messages('warn').length;
  election.stand();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(acquireSometime.mock.calls.length).toBeGreaterThan(100);
  expect(warnings()).toBe(1);
  // It stands in line for an hour, while another one leads.
  lastsMs = 3_600_000;
  await vi.advanceTimersByTimeAsync(60_000);
  lastsMs = 30_000;
  await vi.advanceTimersByTimeAsync(7_200_000);
  expect(warnings()).toBe(2);
  const closed = election.close();
  await vi.runAllTimersAsync();
  await closed;
  expect(warnings()).toBe(2);
});
