import { ConnectionError, DecodeError } from '../../../common/errors.js';
import type { FlowConnection } from '../../../connection/flow-connection.js';
import type { BucketLayout } from '../../../store/engine/bucket-layout.js';
import type { BucketReader } from '../../../store/engine/bucket-reader.js';
import { inTime } from '../../../store/engine/bucket-request.js';
import { readBySequence, type StoredMessage } from '../../../stream/stream-reader.js';
import { otherShards } from './check-shards.js';
import { SEGMENTS } from './key-place.js';
import { decodeShardCommit, revisionsBefore, type ShardCommit } from './shard-commit.js';
import { SHARD_HISTORY, type ShardLog } from './shard-log.js';

/** The shards of which limiter are read, and where. */
export interface ShardReaderParts {
  readonly connection: FlowConnection;
  readonly layout: BucketLayout;
  readonly reader: Pick<BucketReader, 'latest'>;
  /** Whether the bucket lets replicas answer. */
  readonly allowsDirect: boolean;
  /** For errors: `Rate limiter "api"`. */
  readonly what: string;
  readonly shards: number;
  readonly timeoutMs: number;
}

/** Times that reading a shard begins anew, because the bucket may be another or too much has come meanwhile. */
const MOST_ROUNDS = 10;

/** Brings what the process knows of a shard up to what the leader has, by the last message and all that are missing before it. */
export class ShardReader {
  constructor(private readonly parts: ShardReaderParts) {}

  /**
   * @param name key of the shard in the bucket
   * @param patienceMs how long a lost connection or a silent server is waited for, at each message
   * @throws ConnectionError without an answer; ConfigurationError when the limiter has another number of shards on the server;
   * DecodeError when a message of the shard is none of ours.
   */
  async catchUp(name: string, log: ShardLog, patienceMs = this.parts.timeoutMs): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS; round++) if (await this.round(name, log, patienceMs)) return;
    throw new ConnectionError(`${this.parts.what}: ${name} changes faster than it can be read.`);
  }

  /** @returns whether the log has what the leader had when this began. */
  private async round(name: string, log: ShardLog, patienceMs: number): Promise<boolean> {
    const asked = { revision: log.revision, epoch: log.epoch };
    const last = await this.parts.reader.latest(name, 'leader', patienceMs);
    if (log.epoch !== asked.epoch) return false;
    // Messages that were there are gone: they have expired, or the bucket was made anew.
    if (last.revision < asked.revision) log.distrust();
    // While it was asked, others may have gone on further than this answer.
    if (log.reaches(last.revision)) return true;
    if (last.data === undefined) {
      log.clear(last);
      return true;
    }
    const { epoch } = log;
    const commit = this.decode(name, last.revision, last.data);
    const distance = log.distanceTo(commit);
    const missed = revisionsBefore(commit).slice(0, distance === undefined ? SEGMENTS - 1 : distance - 1);
    const earlier = await this.readAll(name, missed, patienceMs);
    // What has expired, and all before it, means nothing any more. Unless more has come meanwhile than the bucket keeps.
    if (earlier.length < missed.length && !(await this.isNear(name, commit, patienceMs))) return false;
    if (log.epoch !== epoch) return false;
    if (log.reaches(last.revision)) return true;
    // What was expected to be known may be something else by now.
    if (distance !== undefined && log.distanceTo(commit) !== distance) return false;
    if (distance === undefined || earlier.length < missed.length) log.empty();
    log.apply(last, [...earlier.reverse(), commit]);
    return true;
  }

  /** As many of the messages, the latest first, as there are without a gap; all asked for at the same time. */
  private async readAll(name: string, revisions: readonly number[], patienceMs: number): Promise<ShardCommit[]> {
    const commits = await Promise.all(revisions.map((revision) => this.read(name, revision, patienceMs)));
    const gap = commits.indexOf(undefined);
    return (gap === -1 ? commits : commits.slice(0, gap)) as ShardCommit[];
  }

  /** Whether so few messages have come after a commit that the bucket still keeps those before it. */
  private async isNear(name: string, commit: ShardCommit, patienceMs: number): Promise<boolean> {
    const { revision, data } = await this.parts.reader.latest(name, 'leader', patienceMs);
    if (data === undefined) return false;
    const now = this.decode(name, revision, data);
    return now.number >= commit.number && now.number - commit.number <= SHARD_HISTORY - SEGMENTS;
  }

  private async read(name: string, revision: number, patienceMs: number): Promise<ShardCommit | undefined> {
    const { connection, layout, allowsDirect } = this.parts;
    const what = `read revision ${revision} of "${name}" in bucket "${layout.bucket}"`;
    // What a revision says never changes, so any replica may tell it, in less time than the leader; if it has it.
    const told = allowsDirect ? await this.readDirect(revision) : undefined;
    const message =
      told ?? (await inTime(connection, what, patienceMs, readBySequence(connection, layout.stream, revision)));
    if (message?.subject !== layout.subject(name)) return undefined;
    return this.decode(name, revision, message.data);
  }

  /** `undefined` for whatever reason: the leader is asked then. */
  private async readDirect(revision: number): Promise<Pick<StoredMessage, 'subject' | 'data'> | undefined> {
    const { manager, status } = this.parts.connection;
    if (status !== 'connected') return undefined;
    try {
      return (await manager.direct.getMessage(this.parts.layout.stream, { seq: revision })) ?? undefined;
    } catch {
      // No replica has it, or none answers: the leader says which.
      return undefined;
    }
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
    throw otherShards(what, layout.bucket, commit.shards, shards);
  }
}
