import { expect, it, vi } from 'vitest';
import { OperationTimeoutError } from '../../../lib/common/errors.js';
import type { Barriers } from '../../../lib/coordination/barrier/barriers.js';
import { Departures } from '../../../lib/coordination/barrier/departures.js';
import type { StateRoom } from '../../../lib/coordination/state-room.js';
import type { ObjectStore } from '../../../lib/store/engine/object-store.js';
import { recordingLog } from '../../support/log.js';

const arrival = { key: 'k', party: 'me', isUnique: false, generation: 1, life: 'a' };

it.each([
  ['is not taken out any more when it has come back', ['k', 'me'], 1],
  ['is taken out also when another party has come', ['k', 'you'], 2],
  ['is taken out also when it has come to another key', ['other', 'me'], 2],
] as const)('whoever goes away unanswered %s', async (_what, [key, party], attempts) => {
  const log = recordingLog();
  const room = { log, closed: new AbortController().signal, nameOf: () => 'Barrier "phase"' };
  const departures = new Departures(room as unknown as StateRoom<Barriers>);
  const modify = vi.fn(() => Promise.resolve());
  modify.mockImplementationOnce(() => {
    departures.arrives({ ...arrival, key, party });
    return Promise.reject(new OperationTimeoutError('A change', 1));
  });
  void departures.begin({ modify } as unknown as ObjectStore<Barriers>, arrival);
  await departures.ended();
  expect(modify).toHaveBeenCalledTimes(attempts);
  expect(log.messages()).toEqual([]);
});
