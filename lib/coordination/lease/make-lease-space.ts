import { LeaseTableSchema } from '../../codec/gen/flow/v1/lease_pb.js';
import { coordinationBucket, type CoordinationKind } from '../../common/names.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { lazily } from '../lazily.js';
import { LeaseIds } from './lease-id.js';
import { LeaseSpace } from './lease-space.js';
import { LeaseStore, LeaseTables } from './lease-store.js';
import { LEASE_BUCKET_TTL_MS, type ResolvedLease } from './lease.options.js';

/** What tells one kind of lock from another. */
export interface LeaseKind {
  readonly kind: CoordinationKind;
  readonly name: string;
  /** For errors, the log and telemetry: `Mutex`. */
  readonly title: string;
  readonly limits: ResolvedLease;
  /** Shared leases of a key that may be held at a time. */
  readonly capacity: number;
  /** How many of a process may stand in the stored line of a key at a time. */
  readonly places: number;
}

/** Leases of one primitive; the bucket is made at the first use, or by `ready()`. */
export function makeLeaseSpace(
  room: CoordinationRoom,
  { kind, title, name, capacity, ...rest }: LeaseKind,
): LeaseSpace {
  const what = `${title} "${name}"`;
  const options = {
    bucket: coordinationBucket(kind, name),
    schema: LeaseTableSchema,
    description: `${what} of nestjs-jetstream-flow`,
    ttl: LEASE_BUCKET_TTL_MS,
    // Sections may be short: who pauses for long after losing a write misses many chances to get into the line.
    retry: { initial: 1, max: 10 },
  };
  const open = lazily(async () => {
    const [clock, store] = await Promise.all([room.clock(), room.openStore(new LeaseTables(), options)]);
    return { clock, store };
  });
  const { connection, log, tracer, meter } = room.environment;
  return new LeaseSpace({
    ...rest,
    what,
    target: { kind: title, name },
    store: new LeaseStore(open, capacity),
    requests: { ids: new LeaseIds(), owner: room.owner, connection },
    stopping: room.stopping,
    log,
    tracer,
    meter: meter.lock(title, name),
  });
}
