import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError } from '../../../lib/common/errors.js';
import { NotYet, Patience } from '../../../lib/connection/patience.js';
import { recordingLog } from '../../support/log.js';

describe('Patience', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const absent = (): Promise<never> => Promise.reject(new NotYet('Nobody is there.', { cause: 'ECONNREFUSED' }));

  it('waits for ever and says so every quarter of a minute', async () => {
    const log = recordingLog();
    let there = false;
    const patience = new Patience({ whenAbsent: 'wait' }, log, undefined);
    const waiting = patience.until(() => (there ? Promise.resolve('here') : absent()), 1_000);
    await vi.advanceTimersByTimeAsync(65_000);
    there = true;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await waiting).toBe('here');
    const lines = log.messages();
    expect(lines[0]).toBe('Nobody is there. Waiting for it.');
    expect(lines.length).toBeGreaterThanOrEqual(4);
    expect(lines.length).toBeLessThanOrEqual(5);
    for (const line of lines.slice(1)) expect(line).toMatch(/^Nobody is there\. Waiting for it, \d+ s so far\.$/);
  });

  it('has one patience for everything that is waited for', async () => {
    const patience = new Patience({ whenAbsent: 'wait', waitAtMost: 10_000 }, recordingLog(), undefined);
    let attempts = 0;
    const first = patience.until(() => (++attempts < 4 ? absent() : Promise.resolve()), 1_000);
    await vi.advanceTimersByTimeAsync(6_000);
    await first;
    const second = expect(patience.until(absent, 1_000)).rejects.toThrow('Nobody is there. Waited 10000 ms for it');
    await vi.advanceTimersByTimeAsync(4_001);
    await second;
  });

  it('fails at the first failure, or after the grace that was granted', async () => {
    const patience = new Patience({ whenAbsent: 'fail' }, recordingLog(), undefined);
    await expect(patience.until(absent, 100)).rejects.toMatchObject({
      constructor: ConnectionError,
      message: 'Nobody is there.',
      cause: 'ECONNREFUSED',
    });
    let attempts = 0;
    const graceful = patience.until(() => (++attempts < 5 ? absent() : Promise.resolve(attempts)), 100, 1_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await graceful).toBe(5);
  });

  it('lets every other error through at once', async () => {
    const patience = new Patience({ whenAbsent: 'wait' }, recordingLog(), undefined);
    const refused = new ConnectionError('refused');
    await expect(patience.until(() => Promise.reject(refused), 100)).rejects.toBe(refused);
  });
});
