import type { RateLimitState } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import { EncodeError } from '../../../common/errors.js';
import type { EntryCodec } from '../../../store/engine/entry-codec.js';
import type { StoredEntry } from '../../../store/engine/stored-entry.js';
import { RateLimitCodec } from '../rate-limit-codec.js';
import { SEGMENTS } from './key-place.js';
import { ShardCommitWriter } from './shard-commit.js';
import { KnownState, ShardDraft, type ShardLog } from './shard-log.js';

/** What the codec needs of its limiter. */
export interface ShardCodecParts {
  readonly bucket: string;
  /** Largest message in bytes, as of now. */
  readonly maxBytes: () => number;
  /** What the process knows of a shard. */
  readonly logOf: (name: string) => ShardLog;
  /** Whether a state that was changed then, by the server's clock, means nothing any more to anybody. */
  readonly isOver: (atMs: number) => boolean;
}

/** A message that is on its way. */
interface Sent {
  readonly data: Uint8Array;
  readonly draft: ShardDraft;
  readonly previous: number;
  readonly number: number;
  /** Keys of the segment it holds that mean nothing any more. */
  readonly over: readonly string[];
}

/** Shards as entries: a value is what one commit has changed, with one segment of the shard. All else is in the shard's log. */
export class ShardCodec implements EntryCodec<ShardDraft> {
  private readonly states = new RateLimitCodec();
  private readonly writer = new ShardCommitWriter();
  /** The last message of each shard: there is but one on the way. */
  private readonly sent = new Map<string, Sent>();

  constructor(private readonly parts: ShardCodecParts) {}

  /** Changes are put into a draft when they are complete, so operations may share one. */
  readonly copy = (draft: ShardDraft): ShardDraft => draft;

  decode(name: string): ShardDraft {
    return new ShardDraft(this.parts.logOf(name));
  }

  encode(name: string, draft: ShardDraft): Uint8Array {
    const { writer } = this;
    const { bucket, maxBytes } = this.parts;
    const { next } = draft.log;
    writer.begin(next);
    for (const [key, { state }] of draft.changed) writer.key(key, state?.text);
    const over = this.writeSegment(draft, next.number % SEGMENTS);
    writer.gaps(next.gaps);
    const data = writer.finish();
    const most = maxBytes();
    if (data.byteLength > most) {
      throw new EncodeError(
        `A commit to "${name}" in bucket "${bucket}" has ${data.byteLength} bytes, and the server takes at most ${most} in one ` +
          "message. Spread the limiter's keys over more shards, or raise the server's max_payload.",
      );
    }
    this.sent.set(name, { data, draft, previous: next.previous, number: next.number, over });
    return data;
  }

  /** The write of `entry` is stored. @returns whether the shard's log has gone on by it. */
  stored(name: string, entry: StoredEntry): boolean {
    const sent = this.sent.get(name);
    if (sent === undefined || sent.data !== entry.data) return false;
    this.sent.delete(name);
    const { log, changed } = sent.draft;
    const { previous, number } = log.next;
    if (previous !== sent.previous || number !== sent.number) return false;
    log.goOn(entry, number, changed, sent.over);
    return true;
  }

  /** The state of a key of a draft, in memory of its own. */
  read(draft: ShardDraft, segment: number, key: string): RateLimitState | undefined {
    const known = draft.get(segment, key);
    return known === undefined ? undefined : this.states.decodeText(known.text);
  }

  put({ changed }: ShardDraft, segment: number, key: string, state: RateLimitState): void {
    const known = new KnownState(this.states.encodeText(state), state.atMs);
    changed.set(key, { segment, state: known });
  }

  /** Writes what is in a segment and has not changed. @returns the keys that mean nothing any more, which it leaves out. */
  private writeSegment({ log, changed }: ShardDraft, segment: number): string[] {
    const over: string[] = [];
    for (const [key, known] of log.segment(segment)) {
      if (changed.has(key)) continue;
      known.atMs ??= this.states.decodeText(known.text).atMs;
      if (this.parts.isOver(known.atMs)) over.push(key);
      else this.writer.key(key, known.text);
    }
    return over;
  }
}
