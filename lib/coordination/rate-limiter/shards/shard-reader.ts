import { ConfigurationError, DecodeError } from '../../../common/errors.js';
import type { FlowConnection } from '../../../connection/flow-connection.js';
import type { BucketLayout } from '../../../store/engine/bucket-layout.js';
import type { BucketReader } from '../../../store/engine/bucket-reader.js';
import { inTime } from '../../../store/engine/bucket-request.js';
import type { ReadEntry } from '../../../store/engine/stored-entry.js';
import { readBySequence } from '../../../stream/stream-reader.js';
import { decodeShardCommit, type ShardCommit } from './shard-commit.js';
import { SEGMENTS, type ShardLog } from './shard-log.js';

/** The shards of which limiter are read, and where. */
export interface ShardReaderParts {
  readonly connection: FlowConnection;
  readonly layout: BucketLayout;
  readonly reader: Pick<BucketReader, 'latest'>;
  /** For errors: `Rate limiter "api"`. */
  readonly what: string;
  readonly shards: number;
  readonly timeoutMs: number;
}

/** Messages of a shard in their order; behind the first, either what the log has, or nothing that counts. */
interface Missed {
  readonly commits: readonly (readonly [revision: number, commit: ShardCommit])[];
  readonly fromNothing: boolean;
}

/** Brings what the process knows of a shard up to what the leader has: walks back from the last message to one that is known. */
export class ShardReader {
  constructor(private readonly parts: ShardReaderParts) {}

  /**
   * @param name key of the shard in the bucket
   * @param patienceMs how long a lost connection or a silent server is waited for, at each message: a large shard may take longer,
   * and reading it ends all the same, whoever gives up meanwhile
   * @throws ConnectionError without an answer; ConfigurationError when the limiter has another number of shards on the server;
   * DecodeError when a message of the shard is none of ours.
   */
  async catchUp(name: string, log: ShardLog, patienceMs = this.parts.timeoutMs): Promise<void> {
    // What was read stays good: however fast others write, each round has to read only what has come since.
    const found = new Map<number, ShardCommit>();
    for (;;) {
      const before = log.revision;
      const last = await this.parts.reader.latest(name, 'leader', patienceMs);
      // Messages that were there are gone: they have expired, or the bucket was made anew.
      if (last.revision < before) log.distrust();
      // While it was asked, others may have gone on further than this answer.
      if (log.reaches(last.revision)) return;
      if (last.data === undefined) {
        log.clear(last);
        return;
      }
      const missed = await this.missed(name, log, { revision: last.revision, data: last.data }, found, patienceMs);
      if (missed !== undefined && goOn(log, last, missed)) return;
    }
  }

  /** What the log lacks of the messages up to `last`; `undefined` when others have written so much that it is gone. */
  private async missed(
    name: string,
    log: ShardLog,
    last: { readonly revision: number; readonly data: Uint8Array },
    found: Map<number, ShardCommit>,
    patienceMs: number,
  ): Promise<Missed | undefined> {
    let revision = last.revision;
    let commit = this.decode(name, revision, last.data);
    const commits: [number, ShardCommit][] = [[revision, commit]];
    for (;;) {
      found.set(revision, commit);
      if (log.isBefore(commit)) return { commits, fromNothing: false };
      if (commit.previous === 0 || commits.length === SEGMENTS) return { commits, fromNothing: true };
      revision = commit.previous;
      const earlier = found.get(revision) ?? (await this.read(name, revision, patienceMs));
      if (earlier === undefined) {
        // Either it has expired, and with it all that was written before. Or more has come since than the bucket keeps.
        const now = await this.parts.reader.latest(name, 'leader', patienceMs);
        return now.revision === last.revision ? { commits, fromNothing: true } : undefined;
      }
      commit = earlier;
      commits.unshift([revision, commit]);
    }
  }

  private async read(name: string, revision: number, patienceMs: number): Promise<ShardCommit | undefined> {
    const { connection, layout } = this.parts;
    const what = `read revision ${revision} of "${name}" in bucket "${layout.bucket}"`;
    const message = await inTime(connection, what, patienceMs, readBySequence(connection, layout.stream, revision));
    if (message?.subject !== layout.subject(name)) return undefined;
    return this.decode(name, revision, message.data);
  }

  private decode(name: string, revision: number, data: Uint8Array): ShardCommit {
    const { layout, shards, what } = this.parts;
    let commit: ShardCommit;
    try {
      commit = decodeShardCommit(data);
    } catch (cause) {
      throw new DecodeError(
        `Bucket "${layout.bucket}", key "${name}", revision ${revision} is no flow.v1.RateLimitShard; it is left as it is. ` +
          'Purge the key; what its shard has counted is lost then.',
        { cause },
      );
    }
    if (commit.shards === shards) return commit;
    throw new ConfigurationError(what, [
      `its keys are spread over ${commit.shards} shards in bucket "${layout.bucket}", and the option shards is ${shards}; ` +
        'give all instances the same number. To change it, stop them all, and delete the bucket',
    ]);
  }
}

/** @returns `false` when what is missed does not go on from where the log is by now. */
function goOn(log: ShardLog, last: ReadEntry, { commits, fromNothing }: Missed): boolean {
  // Another reading, or a write of our own, was faster.
  if (log.reaches(last.revision)) return true;
  const [first] = commits;
  if (fromNothing) log.empty();
  else if (first === undefined || !log.isBefore(first[1])) return false;
  for (const [, commit] of commits) log.apply(last, commit);
  return true;
}
