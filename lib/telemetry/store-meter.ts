import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { Instruments, InstrumentSource } from './instruments.js';
import { PendingSum, PendingSums } from './pending-sum.js';

/** Measures one bucket: the `flow.store.*` metrics. */
export class StoreMeter {
  private readonly operations: PendingSums;
  private readonly conflicts: PendingSum;
  private readonly retries: PendingSum;
  private readonly queue: PendingSum;

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.operations = new PendingSums(attributes, Attribute.databaseOperation);
    this.conflicts = new PendingSum(attributes);
    this.retries = new PendingSum(attributes);
    this.queue = new PendingSum(attributes);
  }

  /** An operation (`update`, `read` …, one of few) came to its end, well or not. Milliseconds, waiting included. */
  operation(name: string, durationMs: number): void {
    this.source.get()?.storeDuration.record(durationMs / 1000, this.operations.with(name).attributes);
  }

  /** A write lost against another writer. */
  conflict(): void {
    this.conflicts.add(1);
  }

  /** A read or write is repeated. */
  retry(): void {
    this.retries.add(1);
  }

  /** The number of updates that wait changed by `by`. */
  queued(by: number): void {
    this.queue.add(by);
  }

  /** One write committed `size` updates. */
  committed(size: number): void {
    this.source.get()?.storeBatchSize.record(size, this.attributes);
  }

  /** Hands in what was counted. */
  flush(instruments: Instruments): void {
    this.conflicts.flush(instruments.storeConflicts);
    this.retries.flush(instruments.storeRetries);
    this.queue.flush(instruments.storeQueue);
  }
}
