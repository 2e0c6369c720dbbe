/**
 * A process that enters a section under a mutex again and again, and tells of each time with a message. Arguments: url.
 */
import { FlowError } from '../../../lib/common/errors.js';
import type { Lease } from '../../../lib/coordination/lease/lease.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { openRoom } from '../../integration/coordination/support/coordination-fixture.js';

/** One time in the section. Times are of the machine's monotonic clock, in milliseconds. */
export interface Visit {
  readonly token: number;
  readonly from: number;
  /** When it ended, or the lease was lost. */
  readonly to: number;
  readonly lost: boolean;
}

const [url = ''] = process.argv.slice(2);
const now = (): number => Number(process.hrtime.bigint()) / 1e6;
const { room } = await openRoom(url);
const mutex = makeMutex(room, { name: 'chaos', ttl: '2s' });

/** What is done in the section: others have the time to come in, if they can. */
const work = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function visit(lease: Lease): Promise<Visit> {
  const from = now();
  let lostAt: number | undefined;
  const { signal, fencingToken: token } = lease;
  signal.addEventListener('abort', () => (lostAt = now()));
  // Now and then for longer than a lease lasts without a renewal.
  await work(Math.random() < 0.05 ? 2_500 : Math.random() * 20);
  return { token, from, to: lostAt ?? now(), lost: lostAt !== undefined };
}

process.on('disconnect', () => process.exit());
while (process.connected) {
  try {
    const lease = await mutex.acquire('section');
    process.send?.(await visit(lease));
    await lease.release();
  } catch (error) {
    // The server is away.
    if (!(error instanceof FlowError)) throw error;
  }
}
