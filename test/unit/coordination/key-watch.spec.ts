import { expect, it, vi } from 'vitest';
import { create } from '@bufbuild/protobuf';
import { LeaseTableSchema } from '../../../lib/codec/gen/flow/v1/lease_pb.js';
import { KeyWatch } from '../../../lib/coordination/lease/key-watch.js';
import type { SeenTable } from '../../../lib/coordination/lease/lease-store.js';
import { recordingLog } from '../../support/log.js';

it('says once that it does not tell of changes, and again when it has in between', async () => {
  const log = recordingLog();
  const onStopped = vi.fn();
  let seen: SeenTable[] = [];
  const watch = new KeyWatch({
    what: 'Mutex "orders", key "17"',
    async *follow() {
      yield* seen;
      throw new Error('the server does not answer');
    },
    onSeen: vi.fn(),
    onStopped,
    log,
  });
  const fail = async (): Promise<void> => {
    onStopped.mockClear();
    watch.start();
    await vi.waitFor(() => expect(onStopped).toHaveBeenCalled());
  };
  for (let attempt = 0; attempt < 3; attempt++) await fail();
  expect(log.messages('warn')).toHaveLength(1);
  seen = [{ table: create(LeaseTableSchema), revision: 1 }];
  await fail();
  seen = [];
  await fail();
  expect(log.messages('warn')).toHaveLength(2);
});
