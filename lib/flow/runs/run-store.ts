import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { setTimeout as pause } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { DecodeError, WrongLastSequenceError } from '../../common/errors.js';
import type { FlowNames } from '../../common/names.js';
import { RunSchema, RunState, type Run } from '../../codec/gen/flow/v1/run_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { ApiCode, isApiError } from '../../stream/jetstream-api.js';
import { listMessages, readLastBySubject, type StoredMessage } from '../../stream/stream-reader.js';
import { enter } from './run-record.js';

/** A run record and the stream sequence it stands at; 0 when it is not stored. */
export interface StoredRun {
  readonly run: Run;
  readonly sequence: number;
}

/** Records remembered, so that a step after a step costs no read: by number, and by bytes since they hold results. */
const MOST_REMEMBERED = 10_000;
const MOST_REMEMBERED_BYTES = 8 * 1_048_576;
/** Several processes that end branches of one run at one time come back at different moments. */
const LONGEST_PAUSE_MS = 20;

/**
 * The run records of one flow, read from the leader and changed by compare-and-set only: any number of
 * instances may change one record at the same time.
 */
export class RunStore {
  private readonly remembered = new LRUCache<string, { data: Uint8Array; sequence: number }>({
    max: MOST_REMEMBERED,
    maxSize: MOST_REMEMBERED_BYTES,
    sizeCalculation: ({ data }) => data.length + 1,
  });

  constructor(
    private readonly connection: FlowConnection,
    private readonly names: FlowNames,
  ) {}

  /** The record of a run, or `undefined` when there is none (never started, not tracked, or past the retention). */
  async read(runId: string): Promise<Run | undefined> {
    return (await this.readStored(runId))?.run;
  }

  /** As {@link read}, with the record's sequence. */
  readStored(runId: string): Promise<StoredRun | undefined> {
    return this.readRecord(this.names.runSubject(runId));
  }

  /** The records behind a sequence in the order of the stream, that of their last change; one at a time in memory. */
  async *list(afterSequence: number): AsyncGenerator<StoredRun, void, undefined> {
    try {
      for await (const message of listMessages(this.connection, this.names.stream, this.names.runFilter, {
        afterSequence,
      }))
        yield { run: decodeRun(message.data, message.subject), sequence: message.sequence };
    } catch (error) {
      if (!isApiError(error, ApiCode.streamNotFound)) throw error;
    }
  }

  /** Stores the record of a new run, or counts the entries of `run` in the record that is there. */
  async begin(run: Run): Promise<void> {
    if (await this.tryWrite({ run, sequence: 0 })) return;
    await this.update(run.runId, (known) => enter(known, run.entered));
  }

  /**
   * Reads, changes and writes a record until no other writer came between. `change` may run several times and
   * says with `false` that there is nothing to write; without a record it gets what `absent` makes.
   *
   * @returns the record as it stands afterwards, or `undefined` when there is none.
   */
  async update(runId: string, change: (run: Run) => boolean, absent?: () => Run): Promise<Run | undefined> {
    const remembered = this.recall(runId);
    if (remembered !== undefined && change(remembered.run) && (await this.tryWrite(remembered))) return remembered.run;
    // A remembered record may be behind: only the leader's may decide that there is nothing to do.
    for (;;) {
      const stored = (await this.readStored(runId)) ?? (absent && { run: absent(), sequence: 0 });
      if (stored === undefined || !change(stored.run) || (await this.tryWrite(stored))) return stored?.run;
      await pause(Math.random() * LONGEST_PAUSE_MS);
    }
  }

  /** @returns `false` when another writer came first. */
  private async tryWrite({ run, sequence }: StoredRun): Promise<boolean> {
    const data = toBinary(RunSchema, run);
    try {
      await this.write(run, data, sequence);
      return true;
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
      return error.repeated && (await this.isStored(run.runId, data));
    }
  }

  /** Whether our own write came first, and only its acknowledgement was lost. */
  private async isStored(runId: string, data: Uint8Array): Promise<boolean> {
    const stored = await this.readMessage(this.names.runSubject(runId));
    return stored !== undefined && Buffer.compare(stored.data, data) === 0;
  }

  private async write(run: Run, data: Uint8Array, expected: number): Promise<void> {
    this.remembered.delete(run.runId);
    const { sequence } = await this.connection.publisher.publish(this.names.runSubject(run.runId), data, {
      expectLastSubjectSequence: expected,
    });
    // Nothing more is written to a run that has ended.
    if (run.state === RunState.RUNNING) this.remembered.set(run.runId, { data, sequence });
  }

  private recall(runId: string): StoredRun | undefined {
    const known = this.remembered.get(runId);
    return known === undefined ? undefined : { run: fromBinary(RunSchema, known.data), sequence: known.sequence };
  }

  private async readRecord(subject: string): Promise<StoredRun | undefined> {
    const message = await this.readMessage(subject);
    return message && { run: decodeRun(message.data, message.subject), sequence: message.sequence };
  }

  /** A flow that nobody has started or run yet has no stream, and so no runs. */
  private async readMessage(subject: string): Promise<StoredMessage | undefined> {
    try {
      return await readLastBySubject(this.connection, this.names.stream, subject);
    } catch (error) {
      if (isApiError(error, ApiCode.streamNotFound)) return undefined;
      throw error;
    }
  }
}

/** @throws DecodeError when the bytes are no run record. */
export function decodeRun(data: Uint8Array, subject: string): Run {
  try {
    return fromBinary(RunSchema, data);
  } catch (error) {
    throw new DecodeError(`"${subject}" does not hold a flow.v1.Run; was it written by another program?`, {
      cause: error,
    });
  }
}
