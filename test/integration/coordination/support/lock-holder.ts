/** A process that holds a key of a lock and tells so: arguments url, kind, ttl. */
import { openRoom } from './coordination-fixture.js';
import { locks, type LockName } from './locks.js';

/** What the process tells. */
export interface LockHolderMessage {
  readonly type: 'ready' | 'held';
}

const [url = '', name = '', ttl = '1000'] = process.argv.slice(2);
const { room } = await openRoom(url);
const lock = locks[name as LockName](room, { ttl: Number(ttl) });
const tell = (message: LockHolderMessage): void => void process.send?.(message);

process.on('disconnect', () => process.exit());
await lock.ready();
tell({ type: 'ready' });
await lock.acquire('k');
tell({ type: 'held' });
