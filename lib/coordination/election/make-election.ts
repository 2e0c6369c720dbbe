import type { CoordinationRoom } from '../coordination-room.js';
import { makeLeaseSpace } from '../lease/make-lease-space.js';
import { resolveElection, type LeaderElectionOptions } from './election.options.js';
import { LeaderElection } from './leader-election.js';

/** An election of this process. Make one per name. */
export function makeElection(room: CoordinationRoom, options: LeaderElectionOptions): LeaderElection {
  const { name, ttl } = resolveElection(options);
  const limits = { ttl, maxHold: undefined, onMaxHold: 'warn' } as const;
  const space = makeLeaseSpace(room, {
    kind: 'election',
    name,
    title: 'LeaderElection',
    limits,
    capacity: 1,
    places: 1,
  });
  return new LeaderElection(name, space, ttl, room.log, room.stopping);
}
