import { expect, it, vi } from 'vitest';
import { EventualClock } from '../../../lib/coordination/clock/eventual-clock.js';
import { recordingLog } from '../../support/log.js';

const AT = { now: () => 1_000_000 };

/** A clock that can be measured at the attempt after so many that fail. */
function openClock(failures: number) {
  const log = recordingLog();
  const closing = new AbortController();
  const measure = vi.fn(() => (failures-- > 0 ? Promise.reject(new Error('silence')) : Promise.resolve(AT)));
  let endPause = (): void => undefined;
  const pause = vi.fn(() => new Promise<void>((resolve) => (endPause = resolve)));
  const clock = new EventualClock(measure, pause, closing.signal, log);
  return {
    measure,
    tell: (listener: () => void = vi.fn()) => clock.tell(listener),
    close: () => closing.abort(),
    warnings: () => log.messages(),
    untilPause: (count: number) => vi.waitFor(() => expect(pause).toHaveBeenCalledTimes(count)),
    endPause: () => endPause(),
  };
}

it('tells all who ask, with one measurement', async () => {
  const { tell, measure, warnings } = openClock(0);
  const [one, other, late] = [vi.fn(), vi.fn(), vi.fn()];
  tell(one);
  tell(other);
  await vi.waitFor(() => expect(one).toHaveBeenCalledTimes(1));
  tell(late);
  for (const told of [one, other, late]) expect(told.mock.calls).toEqual([[AT]]);
  expect(measure).toHaveBeenCalledTimes(1);
  expect(warnings()).toEqual([]);
});

it('is asked for again after a pause, whoever asks meanwhile, and says so once', async () => {
  const { tell, measure, warnings, untilPause, endPause } = openClock(3);
  const [one, late] = [vi.fn(), vi.fn()];
  tell(one);
  for (const attempts of [1, 2, 3]) {
    await untilPause(attempts);
    tell()[Symbol.dispose]();
    if (attempts === 2) tell(late);
    expect(measure).toHaveBeenCalledTimes(attempts);
    endPause();
  }
  await vi.waitFor(() => expect(late).toHaveBeenCalledTimes(1));
  expect(one).toHaveBeenCalledTimes(1);
  expect(warnings()).toEqual([expect.stringContaining("the server's clock could not be measured yet: Error: silence")]);
});

it('is not asked for while nobody needs it, and nothing is said', async () => {
  const { tell, measure, warnings, untilPause, endPause } = openClock(Infinity);
  const gone = vi.fn();
  tell(gone)[Symbol.dispose]();
  await untilPause(1);
  expect(warnings()).toEqual([]);
  endPause();
  // The end of the pause is the end of it.
  await new Promise((resolve) => setImmediate(resolve));
  expect(measure).toHaveBeenCalledTimes(1);
  tell();
  await untilPause(2);
  expect(warnings()).toHaveLength(1);
  expect(gone).not.toHaveBeenCalled();
});

it('is not asked for once it is closed, and nothing is said', async () => {
  const { tell, measure, close, warnings, untilPause, endPause } = openClock(Infinity);
  tell();
  close();
  await untilPause(1);
  endPause();
  await new Promise((resolve) => setImmediate(resolve));
  tell();
  expect(measure).toHaveBeenCalledTimes(1);
  expect(warnings()).toEqual([]);
});
