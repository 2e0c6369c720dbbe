import { fromBinary } from '@bufbuild/protobuf';
import type { JetStreamManager } from '@nats-io/jetstream';
import { LeaseTableSchema, type LeaseTable } from '../../../../lib/codec/gen/flow/v1/lease_pb.js';

/** The leases of a key as the server has them, and the server's time of the write, in milliseconds. */
export async function storedTable(
  manager: JetStreamManager,
  bucket: string,
  key: string,
): Promise<{ readonly table: LeaseTable; readonly timeMs: number }> {
  const message = await manager.streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${key}` });
  if (message === null) throw new Error(`Nothing is stored of "${key}" in "${bucket}"`);
  return { table: fromBinary(LeaseTableSchema, message.data), timeMs: message.time.getTime() };
}
