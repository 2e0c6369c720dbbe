import type { RateLimitState } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import type { FlowConnection } from '../../../connection/flow-connection.js';
import { onBucketDeleted } from '../../../store/engine/bucket-deletion.js';
import { BucketLayout } from '../../../store/engine/bucket-layout.js';
import { BucketReader } from '../../../store/engine/bucket-reader.js';
import type { Change } from '../../../store/engine/change.js';
import type { CommitContext } from '../../../store/engine/commit-context.js';
import { EntryWriter } from '../../../store/engine/entry-writer.js';
import type { ResolvedKvObject } from '../../../store/engine/kv-object.options.js';
import { OperationQueue } from '../../../store/engine/operation-queue.js';
import type { ProvisionedBucket } from '../../../store/engine/provision-bucket.js';
import { ABSENT, type StoredEntry } from '../../../store/engine/stored-entry.js';
import { untilAnswered } from '../../../store/engine/until-answered.js';
import type { StoreMeter } from '../../../telemetry/store-meter.js';
import { LaneTurns } from '../lane-turns.js';
import type { ChangingStates, LimitStates, StatesChange } from '../limit-states.js';
import { placeOf, storedName } from './key-place.js';
import { ShardCodec, type ShardCodecParts } from './shard-codec.js';
import { ShardLog, type ShardDraft } from './shard-log.js';
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
  private readonly logs: ReadonlyMap<string, ShardLog>;
  private readonly codec: ShardCodec;
  private readonly reader: ShardReader;
  private readonly queue: OperationQueue<ShardDraft>;
  private readonly turns: LaneTurns;
  private readonly unlisten: () => void;

  constructor(private readonly parts: ShardedStatesParts) {
    const { connection, settings, provisioned, shards, isOver, what, meter } = parts;
    const { bucket } = settings.bucket;
    const layout = new BucketLayout(bucket);
    this.bucket = bucket;
    this.names = Array.from({ length: shards }, (_, index) => `shard-${index}`);
    this.logs = new Map(this.names.map((name) => [name, new ShardLog(shards)]));
    const logOf = (name: string): ShardLog => this.logOf(name);
    const maxBytes = (): number => (connection.nats.info?.max_payload ?? DEFAULT_MAX_PAYLOAD) - HEADER_ROOM_BYTES;
    this.codec = new ShardCodec({ bucket, isOver, logOf, maxBytes });
    const distrust = (): void => {
      for (const log of this.logs.values()) log.distrust();
    };
    const reader = new BucketReader(connection, layout, provisioned.allowsDirect, distrust);
    const { allowsDirect } = provisioned;
    this.reader = new ShardReader({
      connection,
      layout,
      reader,
      allowsDirect,
      what,
      shards,
      timeoutMs: settings.queue.timeoutMs,
    });
    this.turns = new LaneTurns(connection, bucket);
    this.turns.start();
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
      lost: (name) => this.turns.lost(name),
      read: (name, patienceMs) => this.catchUp(name, patienceMs),
      isClosed: () => connection.status === 'closed',
      meter,
    };
    this.queue = new OperationQueue(context, queue, (by) => meter.queued(by));
    const unwatch = onBucketDeleted(connection, layout, distrust);
    const unlisten = connection.onStatus((status) => {
      if (status !== 'connected') distrust();
    });
    this.unlisten = () => {
      this.turns.close();
      unwatch();
      unlisten();
    };
  }

  laneOf(key: string): string {
    return this.names[placeOf(storedName(key), this.names.length).shard] as string;
  }

  change(lane: string, change: StatesChange, signal?: AbortSignal): Promise<unknown> {
    return this.turns.take(lane, () =>
      this.run(lane, signal, (draft) => {
        const states = new DraftStates(this.codec, draft, this.names.length);
        change(states);
        return states.isChanged ? { kind: 'write', state: draft } : KEEP;
      }),
    );
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
    const stored = storedName(key);
    const { segment } = placeOf(stored, this.names.length);
    return this.run(this.laneOf(key), signal, (draft) => {
      if (draft.get(segment, stored) === undefined) return KEEP;
      draft.changed.set(stored, { segment, state: undefined });
      return { kind: 'write', state: draft };
    });
  }

  /** Takes no more, and resolves when what is under way has ended. */
  async close(): Promise<void> {
    await this.queue.close();
    this.unlisten();
  }

  private run(
    lane: string,
    signal: AbortSignal | undefined,
    change: (draft: ShardDraft) => Change<ShardDraft>,
  ): Promise<unknown> {
    const options = signal === undefined ? NO_OPTIONS : { signal };
    try {
      return this.queue.run('modify', lane, (draft) => change(draft ?? this.codec.decode(lane)), options, nothing);
    } catch (error) {
      // As from an async function, which this is in all but its cost.
      return new Promise(() => {
        throw error;
      });
    }
  }

  private recall(name: string): { readonly entry: StoredEntry; readonly kind: 'remembered' } | undefined {
    const { entry, believed } = this.logOf(name);
    // Where others write as well, what is known is out of date nearly always, and a write by it costs more than a look.
    return entry === undefined || !believed || this.turns.isOthers(name) ? undefined : { entry, kind: 'remembered' };
  }

  private remember(name: string, entry: StoredEntry): void {
    const log = this.logOf(name);
    // Not while another read is needed to know what bucket it is in.
    log.believed = (this.codec.stored(name, entry) || log.revision === entry.revision) && log.reaches(entry.revision);
  }

  private async catchUp(name: string, patienceMs?: number): Promise<StoredEntry> {
    const log = this.logOf(name);
    await this.reader.catchUp(name, log, patienceMs);
    // Unless the connection was lost at that very moment.
    log.believed = log.reaches(log.revision);
    return log.entry ?? ABSENT;
  }

  private logOf(name: string): ShardLog {
    return this.logs.get(name) as ShardLog;
  }
}

/** The states of a draft's keys. */
class DraftStates implements ChangingStates {
  isChanged = false;
  /** Asked for last; it is what is set, nearly always. */
  private key = '';
  private stored = '';
  private segment = 0;

  constructor(
    private readonly codec: ShardCodec,
    private readonly draft: ShardDraft,
    private readonly shards: number,
  ) {}

  get(key: string): RateLimitState | undefined {
    this.find(key);
    return this.codec.read(this.draft, this.segment, this.stored);
  }

  put(key: string, state: RateLimitState): void {
    if (key !== this.key) this.find(key);
    this.codec.put(this.draft, this.segment, this.stored, state);
    this.isChanged = true;
  }

  private find(key: string): void {
    this.key = key;
    this.stored = storedName(key);
    this.segment = placeOf(this.stored, this.shards).segment;
  }
}

const NO_OPTIONS = {};
const KEEP = { kind: 'keep' } as const;

function nothing(): void {
  // Whoever changes a state knows what of it.
}
