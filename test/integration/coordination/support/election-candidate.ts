/** A process that stands in an election and tells of its terms: arguments url, ttl. */
import { makeElection } from '../../../../lib/coordination/election/make-election.js';
import { openRoom } from './coordination-fixture.js';

/** What the process tells. */
export interface CandidateMessage {
  readonly type: 'ready' | 'leads';
  readonly token?: number;
}

const [url = '', ttl = '1000'] = process.argv.slice(2);
const { room } = await openRoom(url);
const election = makeElection(room, { name: 'test', ttl: Number(ttl) });
const tell = (message: CandidateMessage): void => void process.send?.(message);

process.on('disconnect', () => process.exit());
election.observe().subscribe(({ lease }) => {
  if (lease !== undefined) tell({ type: 'leads', token: lease.fencingToken });
});
await election.ready();
tell({ type: 'ready' });
election.stand();
