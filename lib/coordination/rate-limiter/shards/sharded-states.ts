import type { RateLimitState } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import type { FlowConnection } from '../../../connection/flow-connection.js';
import { onBucketDeleted } from '../../../store/engine/bucket-deletion.js';
import { BucketLayout } from '../../../store/engine/bucket-layout.js';
import { BucketReader } from '../../../store/engine/bucket-reader.js';
import type { Change, ChangeFunction } from '../../../store/engine/change.js';
import type { CommitContext } from '../../../store/engine/commit-context.js';
import { EntryWriter } from '../../../store/engine/entry-writer.js';
import type { ResolvedKvObject } from '../../../store/engine/kv-object.options.js';
import { OperationQueue } from '../../../store/engine/operation-queue.js';
import type { ProvisionedBucket } from '../../../store/engine/provision-bucket.js';
import { ABSENT, type StoredEntry } from '../../../store/engine/stored-entry.js';
import { untilAnswered } from '../../../store/engine/until-answered.js';
import type { StoreMeter } from '../../../telemetry/store-meter.js';
import type { LimitStates } from '../limit-states.js';
import { ShardCodec, type ShardCodecParts } from './shard-codec.js';
import { placeOf, ShardLog, type ShardDraft } from './shard-log.js';
import { storedName } from './shard-of.js';
import { ShardReader } from './shard-reader.js';

const CONTENT_TYPE = 'application/protobuf; messageType="flow.v1.RateLimitShard"';
/** Room for a message's headers in what the server takes as one message. */
const HEADER_ROOM_BYTES = 8_192;
const DEFAULT_MAX_PAYLOAD = 1_048_576;

/** What the states of a limiter's keys need to be kept in shards. */
export interface ShardedStatesParts extends Pick<ShardCodecParts, 'isOver'> {
  readonly shards: number;
  /** For errors: `Rate limiter "api"`. */
  readonly what: string;
  readonly connection: FlowConnection;
  readonly settings: Pick<ResolvedKvObject, 'bucket' | 'queue' | 'backoff' | 'remember'>;
  readonly provisioned: ProvisionedBucket;
  readonly meter: StoreMeter;
}

/**
 * The states of a limiter's keys in few entries of a bucket, the shards: what is decided at the same time about keys of one shard is
 * stored by one message. It is committed as an object's state is, by compare-and-set, all operations of a shard that wait together;
 * but the message holds what has changed only.
 */
export class ShardedStates implements LimitStates {
  readonly bucket: string;
  private readonly names: readonly string[];
  private logs: ReadonlyMap<string, ShardLog>;
  private readonly codec: ShardCodec;
  private readonly reader: ShardReader;
  private readonly queue: OperationQueue<ShardDraft>;
  private readonly unlisten: () => void;

  constructor(private readonly parts: ShardedStatesParts) {
    const { connection, settings, provisioned, shards, isOver, what, meter } = parts;
    const { bucket } = settings.bucket;
    const layout = new BucketLayout(bucket);
    this.bucket = bucket;
    this.names = Array.from({ length: shards }, (_, index) => `shard-${index}`);
    this.logs = this.unknown();
    const logOf = (name: string): ShardLog => this.logOf(name);
    const maxBytes = (): number => (connection.nats.info?.max_payload ?? DEFAULT_MAX_PAYLOAD) - HEADER_ROOM_BYTES;
    this.codec = new ShardCodec({ bucket, isOver, logOf, maxBytes });
    const forget = (): void => void (this.logs = this.unknown());
    const reader = new BucketReader(connection, layout, provisioned.allowsDirect, forget);
    this.reader = new ShardReader({ connection, layout, reader, what, shards, timeoutMs: settings.queue.timeoutMs });
    const { history, shortestLifeMs } = provisioned;
    const { remember, backoff, queue } = settings;
    const entries = { contentType: CONTENT_TYPE, schemaVersion: 0, remember, cleanupMs: undefined };
    const context: CommitContext<ShardDraft> = {
      bucket,
      codec: this.codec,
      writer: new EntryWriter(connection, layout, { ...entries, history, shortestLifeMs }),
      backoff,
      rememberMs: remember.ageMs,
      keepsHistory: true,
      recall: (name) => this.recall(name),
      remember: (name, entry) => this.remember(name, entry),
      forget: (name) => void (this.logOf(name).believed = false),
      read: (name, patienceMs) => this.catchUp(name, patienceMs),
      isClosed: () => connection.status === 'closed',
      meter,
    };
    this.queue = new OperationQueue(context, queue, (by) => meter.queued(by));
    const unwatch = onBucketDeleted(connection, layout, forget);
    const unlisten = connection.onStatus((status) => {
      if (status !== 'connected') forget();
    });
    this.unlisten = () => {
      unwatch();
      unlisten();
    };
  }

  change(key: string, change: ChangeFunction<RateLimitState>, signal?: AbortSignal): Promise<unknown> {
    const stored = storedName(key);
    const { shard, segment } = placeOf(stored, this.names.length);
    const name = this.names[shard] as string;
    const inShard = (draft = this.codec.decode(name)): Change<ShardDraft> =>
      this.changeIn(draft, segment, stored, change);
    try {
      return this.queue.run('modify', name, inShard, signal === undefined ? NO_OPTIONS : { signal }, nothing);
    } catch (error) {
      // As from an async function, which this is in all but its cost.
      return new Promise(() => {
        throw error;
      });
    }
  }

  async read(key: string, signal?: AbortSignal): Promise<RateLimitState | undefined> {
    const { connection, settings, meter } = this.parts;
    const stored = storedName(key);
    const { shard, segment } = placeOf(stored, this.names.length);
    const name = this.names[shard] as string;
    await untilAnswered(connection, (leftMs) => this.catchUp(name, leftMs), {
      patienceMs: settings.queue.timeoutMs,
      backoff: settings.backoff,
      what: () => `read of "${key}"`,
      signal,
      onRetry: () => meter.retry(),
    });
    return this.codec.read(this.codec.decode(name), segment, stored);
  }

  remove(key: string, signal?: AbortSignal): Promise<unknown> {
    return this.change(key, () => ({ kind: 'remove', purge: false }), signal);
  }

  /** Takes no more, and resolves when what is under way has ended. */
  async close(): Promise<void> {
    await this.queue.close();
    this.unlisten();
  }

  private changeIn(
    draft: ShardDraft,
    segment: number,
    key: string,
    change: ChangeFunction<RateLimitState>,
  ): Change<ShardDraft> {
    const changed = change(this.codec.read(draft, segment, key));
    if (changed.kind === 'write') this.codec.put(draft, segment, key, changed.state);
    else if (changed.kind === 'remove' && draft.get(segment, key) !== undefined)
      draft.changed.set(key, { segment, state: undefined });
    else return KEEP;
    return { kind: 'write', state: draft };
  }

  private recall(name: string): { readonly entry: StoredEntry; readonly kind: 'remembered' } | undefined {
    const { entry, believed } = this.logOf(name);
    return entry === undefined || !believed ? undefined : { entry, kind: 'remembered' };
  }

  private remember(name: string, entry: StoredEntry): void {
    const log = this.logOf(name);
    log.believed = this.codec.stored(name, entry) || log.revision === entry.revision;
  }

  private async catchUp(name: string, patienceMs?: number): Promise<StoredEntry> {
    const log = this.logOf(name);
    await this.reader.catchUp(name, log, patienceMs);
    log.believed = true;
    return log.entry ?? ABSENT;
  }

  private logOf(name: string): ShardLog {
    return this.logs.get(name) as ShardLog;
  }

  /** After a reconnect or a deletion of the bucket: it may be another now, in which revisions begin anew. */
  private unknown(): ReadonlyMap<string, ShardLog> {
    return new Map(this.names.map((name) => [name, new ShardLog(this.names.length)]));
  }
}

const NO_OPTIONS = {};
const KEEP = { kind: 'keep' } as const;

function nothing(): void {
  // Whoever changes a state knows what of it.
}
