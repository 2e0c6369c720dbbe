import type { Attributes, MeterProvider } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import { AttributeCache, InstrumentSource, Level } from './instruments.js';

/**
 * Metrics of the library, one instance per module. With no meter provider registered every method returns at once;
 * one that is registered later is picked up. Fetch the meter of a step, bucket or destination once and keep it.
 */
export class FlowMeter {
  private readonly source: InstrumentSource;

  /** @param provider where measurements go. @default OpenTelemetry's global provider */
  constructor(provider?: MeterProvider) {
    this.source = new InstrumentSource(provider);
  }

  /** Whether anything measures: lets callers skip what only serves measuring. */
  get enabled(): boolean {
    return this.source.get() !== undefined;
  }

  /** Meter of one step. */
  step(flow: string, step: string): StepMeter {
    return new StepMeter(this.source, { [Attribute.flow]: flow, [Attribute.step]: step });
  }

  /** Meter of publishes to one destination: a subject without run ids, one of few. */
  publisher(destination: string): PublishMeter {
    return new PublishMeter(this.source, { [Attribute.destinationTemplate]: destination });
  }

  /** Meter of the state objects of one bucket. */
  store(bucket: string): StoreMeter {
    return new StoreMeter(this.source, { [Attribute.databaseCollection]: bucket });
  }

  /** Counts a change of the connection named `connection` to `status`. */
  connectionStatus(connection: string, status: string): void {
    this.source.get()?.connectionStatusChanges.add(1, {
      [Attribute.connection]: connection,
      [Attribute.connectionStatus]: status,
    });
  }
}

/** Measures one step: `flow.step.duration`, `flow.step.outcomes`, `flow.redeliveries`, `flow.in_flight`. */
export class StepMeter {
  private readonly outcomes: AttributeCache;
  private readonly inFlight = new Level();

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.outcomes = new AttributeCache(attributes, Attribute.outcome);
  }

  /** A message was taken up. {@link finished} must follow, once. */
  started(redelivered: boolean): void {
    const instruments = this.source.get();
    this.inFlight.change(1, instruments?.inFlight, this.attributes);
    if (redelivered) instruments?.redeliveries.add(1, this.attributes);
  }

  /**
   * What became of the message.
   *
   * @param outcome its kind, one of few: `advanced`, `retried` …
   * @param durationMs time since the handler was called, in milliseconds
   */
  finished(outcome: string, durationMs: number): void {
    const instruments = this.source.get();
    this.inFlight.change(-1, instruments?.inFlight, this.attributes);
    if (instruments === undefined) return;
    const attributes = this.outcomes.with(outcome);
    instruments.stepOutcomes.add(1, attributes);
    instruments.stepDuration.record(durationMs / 1000, attributes);
  }
}

/** Measures publishes to one destination: `flow.publish.duration`. */
export class PublishMeter {
  private readonly failures: AttributeCache;

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.failures = new AttributeCache(attributes, Attribute.errorType);
  }

  /**
   * A publish was acknowledged, or failed.
   *
   * @param durationMs in milliseconds
   * @param errorCode `code` of the error it failed with
   */
  published(durationMs: number, errorCode?: string): void {
    const instruments = this.source.get();
    if (instruments === undefined) return;
    const attributes = errorCode === undefined ? this.attributes : this.failures.with(errorCode);
    instruments.publishDuration.record(durationMs / 1000, attributes);
  }
}

/** Measures one bucket: the `flow.store.*` metrics. */
export class StoreMeter {
  private readonly operations: AttributeCache;
  private readonly queue = new Level();

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.operations = new AttributeCache(attributes, Attribute.databaseOperation);
  }

  /** An operation (`update`, `read` …, one of few) came to its end, well or not. Milliseconds, waiting included. */
  operation(name: string, durationMs: number): void {
    this.source.get()?.storeDuration.record(durationMs / 1000, this.operations.with(name));
  }

  /** A write lost against another writer. */
  conflict(): void {
    this.source.get()?.storeConflicts.add(1, this.attributes);
  }

  /** A read or write is repeated. */
  retry(): void {
    this.source.get()?.storeRetries.add(1, this.attributes);
  }

  /** The number of updates that wait changed by `by`. */
  queued(by: number): void {
    this.queue.change(by, this.source.get()?.storeQueue, this.attributes);
  }

  /** One write committed `size` updates. */
  committed(size: number): void {
    this.source.get()?.storeBatchSize.record(size, this.attributes);
  }
}
