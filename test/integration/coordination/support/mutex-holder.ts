/**
 * A process that holds a key of a mutex: arguments url, key, ttl. It takes commands by messages and answers each:
 * `acquire`, `write`, `release`; it tells by itself when its lease is lost.
 */
import type { FlowError } from '../../../../lib/common/errors.js';
import type { Lease } from '../../../../lib/coordination/lease/lease.js';
import { makeMutex } from '../../../../lib/coordination/mutex/make-mutex.js';
import { fencedWrite, openAccounts } from './accounts.js';
import { openRoom } from './coordination-fixture.js';

/** What the process tells. */
export interface HolderMessage {
  readonly type: 'ready' | 'held' | 'written' | 'refused' | 'released' | 'lost';
  readonly token?: number;
  readonly code?: string;
}

const [url = '', key = '', ttl = '1000'] = process.argv.slice(2);
const { room } = await openRoom(url);
const mutex = makeMutex(room, { name: 'test', ttl: Number(ttl) });
const accounts = await openAccounts(room);
const tell = (message: HolderMessage): void => void process.send?.(message);
let lease: Lease | undefined;

async function run(command: unknown): Promise<void> {
  if (command === 'acquire') {
    lease = await mutex.acquire(key);
    const { signal, fencingToken: token } = lease;
    signal.addEventListener('abort', () => tell({ type: 'lost', code: (signal.reason as FlowError).code }));
    tell({ type: 'held', token });
  } else if (command === 'write' && lease !== undefined) {
    try {
      await fencedWrite(accounts, key, lease, 'holder');
      tell({ type: 'written' });
    } catch (error) {
      tell({ type: 'refused', code: (error as FlowError).code });
    }
  } else {
    await lease?.release();
    tell({ type: 'released' });
  }
}

process.on('message', (command) => void run(command));
process.on('disconnect', () => process.exit());
tell({ type: 'ready' });
