import { ConfigurationError, DecodeError } from '../../../common/errors.js';
import type { FlowConnection } from '../../../connection/flow-connection.js';
import { BucketLayout } from '../../../store/engine/bucket-layout.js';
import { lastSequence, readBySequence } from '../../../stream/stream-reader.js';
import { decodeShardCommit, type ShardCommit } from './shard-commit.js';

/** @throws ConfigurationError when the last message of a limiter's bucket is of one with another number of shards. */
export async function checkShards(
  connection: FlowConnection,
  what: string,
  bucket: string,
  shards: number,
): Promise<void> {
  const { stream } = new BucketLayout(bucket);
  const last = await lastSequence(connection, stream);
  const message = last === 0 ? undefined : await readBySequence(connection, stream, last);
  const commit = message === undefined ? undefined : commitOf(message.data);
  if (commit !== undefined && commit.shards !== shards) throw otherShards(what, bucket, commit.shards, shards);
}

/** What is said to a limiter that has another number of shards than its bucket. */
export function otherShards(what: string, bucket: string, there: number, here: number): ConfigurationError {
  return new ConfigurationError(what, [
    `its keys are spread over ${there} shards in bucket "${bucket}", and the option shards is ${here}; give all instances the same ` +
      'number. To change it, stop them all, and delete the bucket',
  ]);
}

/** `undefined` when it is none: whoever needs that message is told of it. */
function commitOf(data: Uint8Array): ShardCommit | undefined {
  try {
    return decodeShardCommit(data);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
