import { JetStreamRequestError, ConnectionError } from '../../../lib/common/errors.js';
import { PublishTimeoutError, WrongLastSequenceError } from '../../../lib/common/errors.js';
import { json } from '../../../lib/codec/message-schema.js';
import type { PublishOptions, PublishResult } from '../../../lib/connection/publish.options.js';
import { BucketLayout } from '../../../lib/store/engine/bucket-layout.js';
import type { CommitContext } from '../../../lib/store/engine/commit-context.js';
import { EntryWriter } from '../../../lib/store/engine/entry-writer.js';
import { RememberedEntries } from '../../../lib/store/engine/remembered-entries.js';
import { StateCodec } from '../../../lib/store/engine/state-codec.js';
import type { StoreConnection } from '../../../lib/store/engine/store-connection.js';
import { ABSENT, toStoredEntry, type StoredEntry } from '../../../lib/store/engine/stored-entry.js';

/** Everything that was ever applied to a key, in order: operations by their number, other writers' by negative ones. */
export interface Log {
  ids: number[];
}

const logCodec = StateCodec.for(json<Log>('Log'), {
  bucket: 'b',
  schemaVersion: 0,
  migrate: undefined,
  maxValueBytes: 2_000,
});

/** What another writes: a store, which keeps marks, or a client that knows nothing of them. */
type Other = 'store' | 'client';

/** What happens to one publish. */
export interface Fate {
  /** Who writes before it arrives. */
  readonly before: readonly Other[];
  /** Whether it arrives; `late`: when the next publish does. */
  readonly arrives: 'now' | 'late' | 'never';
  /** Who writes after it. */
  readonly after: readonly Other[];
  /** `is refused again`: an answer to its repetition, after the one to its first sending was lost. */
  readonly reply: 'comes' | 'is lost' | 'is a refusal' | 'is refused again';
}

interface Message {
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly headers: ReadonlyMap<string, string>;
}

const layout = new BucketLayout('b');
const remember = { count: 1_000, ageMs: 3_600_000 };

/** A bucket in memory that does to publishes and reads what a script says, and afterwards what they ask for. */
export class ScriptedBucket {
  readonly messages = new Map<string, Message>();
  /** Keys that a client without marks has written. */
  readonly replaced = new Set<string>();
  private requests = 0;
  private sequence = 0;
  private others = 0;
  private late: (() => unknown) | undefined;
  private readonly connection = {
    apiPrefix: '$JS.API',
    publisher: { publish: this.publish.bind(this) },
  } as unknown as StoreConnection;
  private readonly other = this.newWriter();

  constructor(
    private readonly fates: Fate[],
    private readonly failingReads: boolean[],
    /** Told of each publish and read while it is on its way, with their number; it goes on when that ends. */
    private readonly onRequest: (count: number) => unknown = () => undefined,
  ) {}

  newWriter(): EntryWriter {
    return new EntryWriter(this.connection, layout, {
      contentType: 'application/json',
      schemaVersion: 0,
      remember,
      cleanupMs: undefined,
      history: 1,
      shortestLifeMs: Infinity,
    });
  }

  /** What a store over the bucket works with. */
  context(guesses = false): CommitContext<Log> {
    const remembered = new RememberedEntries({ entries: 10, bytes: 1_000_000 });
    const nothing = (): void => undefined;
    return {
      bucket: 'b',
      codec: logCodec,
      writer: this.newWriter(),
      backoff: { initialMs: 1, maxMs: 1 },
      rememberMs: remember.ageMs,
      keepsHistory: false,
      recall: (key) => {
        const entry = remembered.get(key);
        if (entry !== undefined) return { entry, kind: 'remembered' };
        return guesses ? { entry: ABSENT, kind: 'guessed' } : undefined;
      },
      remember: (key, entry) => remembered.set(key, entry),
      forget: (key) => remembered.forget(key),
      lost: () => undefined,
      read: async (key) => {
        await this.onTheWay();
        if (this.failingReads.shift() === true) throw new ConnectionError('no answer');
        return this.entry(key);
      },
      isClosed: () => false,
      meter: { conflict: nothing, retry: nothing, committed: nothing },
    };
  }

  entry(key: string): StoredEntry {
    const message = this.messages.get(layout.subject(key));
    if (message === undefined) return ABSENT;
    const headers = { get: (name: string) => message.headers.get(name) ?? '' };
    return toStoredEntry(() => key, { ...message, time: new Date(0), headers });
  }

  ids(key: string): readonly number[] {
    const { data } = this.entry(key);
    return data === undefined ? [] : logCodec.decode(key, ABSENT, data).ids;
  }

  private async publish(subject: string, data: Uint8Array, options: PublishOptions): Promise<PublishResult> {
    const fate = this.fates.shift() ?? { before: [], arrives: 'now', after: [], reply: 'comes' };
    await this.onTheWay();
    this.late?.();
    this.late = undefined;
    for (const other of fate.before) this.writeAs(other, subject);
    if (fate.reply === 'is a refusal') throw new JetStreamRequestError('no room', 10_047);
    const arrive = (): number | undefined => this.arrive(subject, data, options);
    const sequence = fate.arrives === 'now' ? arrive() : undefined;
    if (fate.arrives === 'late') this.late = arrive;
    for (const other of fate.after) this.writeAs(other, subject);
    if (fate.reply === 'is refused again') throw new JetStreamRequestError('no room', 10_047, { repeated: true });
    if (fate.reply === 'is lost' || fate.arrives !== 'now') throw new PublishTimeoutError(subject, 1);
    if (sequence === undefined) throw new WrongLastSequenceError('wrong', 10_071, { repeated: false });
    return { stream: layout.stream, sequence, duplicate: false, repeated: false };
  }

  private async onTheWay(): Promise<void> {
    this.requests += 1;
    const count = this.requests;
    await new Promise((resolve) => setImmediate(resolve));
    await this.onRequest(count);
  }

  private arrive(subject: string, data: Uint8Array, options: PublishOptions): number | undefined {
    if ((this.messages.get(subject)?.sequence ?? 0) !== options.expectLastSubjectSequence) return undefined;
    return this.store(subject, data, new Map(options.headers as Iterable<[string, string]>));
  }

  private store(subject: string, data: Uint8Array, headers: Message['headers']): number {
    this.sequence += 1;
    this.messages.set(subject, { sequence: this.sequence, data, headers });
    return this.sequence;
  }

  private writeAs(other: Other, subject: string): void {
    const key = layout.keyOf(subject);
    this.others += 1;
    const data = logCodec.encode(key, { ids: [...this.ids(key), -this.others] });
    if (other === 'client') {
      this.replaced.add(key);
      this.store(subject, data, new Map());
      return;
    }
    const details = { purge: false, hashes: [], ttlMs: undefined, madeFrom: 0 };
    const { message } = this.other.prepare(key, this.entry(key), data, details);
    this.store(subject, message.data, new Map(message.headers));
  }
}
