import {
  createNoopMeter,
  metrics,
  type Counter,
  type Histogram,
  type Meter,
  type MeterProvider,
  type UpDownCounter,
} from '@opentelemetry/api';
import { SCOPE } from './attributes.js';

/** Every instrument of the library. Durations are in seconds, as OpenTelemetry has it. */
export interface Instruments {
  readonly stepDuration: Histogram;
  readonly stepOutcomes: Counter;
  readonly redeliveries: Counter;
  readonly inFlight: UpDownCounter;
  readonly publishDuration: Histogram;
  readonly connectionStatusChanges: Counter;
  readonly storeDuration: Histogram;
  readonly storeConflicts: Counter;
  readonly storeRetries: Counter;
  readonly storeQueue: UpDownCounter;
  readonly storeBatchSize: Histogram;
  readonly rateLimitDecisions: Counter;
  readonly rateLimitLeased: Counter;
  readonly lockWait: Histogram;
  readonly lockHold: Histogram;
  readonly lockLosses: Counter;
  readonly coordinationWait: Histogram;
}

// From half a millisecond, about one round trip to a near server, to the minutes that a handler may take.
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/**
 * Makes the instruments when a meter provider is there, at boot or later. Until then {@link get} costs a look-up
 * and gives `undefined`, so callers skip the rest.
 */
export class InstrumentSource {
  private instruments: Instruments | undefined;
  private stopCollecting: (() => void) | undefined;

  /**
   * @param provider where measurements go, the global one when `undefined`
   * @param onCollect called just before metrics are collected: hands in what was summed up since
   */
  constructor(
    private readonly provider: MeterProvider | undefined,
    private readonly onCollect: (instruments: Instruments) => void,
  ) {}

  /** The instruments; `undefined` as long as nobody registered a meter provider. */
  get(): Instruments | undefined {
    if (this.instruments !== undefined) return this.instruments;
    const meter = (this.provider ?? metrics).getMeter(SCOPE);
    // Metrics have no proxy in the api: instruments made before the SDK is registered would stay dead for ever.
    if (meter === createNoopMeter()) return undefined;
    const instruments = makeInstruments(meter);
    this.instruments = instruments;
    this.stopCollecting = callOnCollect(meter, () => this.onCollect(instruments));
    return instruments;
  }

  /** Hands in what is left and is not called any more. */
  close(): void {
    if (this.instruments !== undefined) this.onCollect(this.instruments);
    this.stopCollecting?.();
    this.stopCollecting = undefined;
  }
}

function callOnCollect(meter: Meter, callback: () => void): () => void {
  // A callback must belong to an observable instrument. This one is never observed, so it is never exported.
  const hook = [meter.createObservableGauge('flow.collect')];
  meter.addBatchObservableCallback(callback, hook);
  return () => meter.removeBatchObservableCallback(callback, hook);
}

function makeInstruments(meter: Meter): Instruments {
  const seconds = (description: string) => ({
    description,
    unit: 's',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  return {
    stepDuration: meter.createHistogram(
      'flow.step.duration',
      seconds('Time from the call of a handler to its outcome.'),
    ),
    stepOutcomes: meter.createCounter('flow.step.outcomes', {
      description: 'Messages handled, by what became of them.',
      unit: '{message}',
    }),
    redeliveries: meter.createCounter('flow.redeliveries', {
      description: 'Messages delivered again.',
      unit: '{message}',
    }),
    inFlight: meter.createUpDownCounter('flow.in_flight', {
      description: 'Messages delivered whose outcome is not known yet.',
      unit: '{message}',
    }),
    publishDuration: meter.createHistogram(
      'flow.publish.duration',
      seconds('Time from a publish to its acknowledgement by the server.'),
    ),
    connectionStatusChanges: meter.createCounter('flow.connection.status_changes', {
      description: 'Changes of the connection, by the status it changed to.',
      unit: '{change}',
    }),
    storeDuration: meter.createHistogram(
      'flow.store.operation.duration',
      seconds('Time an operation on a state object took, waiting and repetitions included.'),
    ),
    storeConflicts: meter.createCounter('flow.store.conflicts', {
      description: 'Writes that lost against another writer of the same key.',
      unit: '{conflict}',
    }),
    storeRetries: meter.createCounter('flow.store.retries', {
      description: 'Reads and writes that were repeated.',
      unit: '{retry}',
    }),
    storeQueue: meter.createUpDownCounter('flow.store.queue_depth', {
      description: 'Updates of state objects that wait for their turn.',
      unit: '{update}',
    }),
    storeBatchSize: meter.createHistogram('flow.store.batch_size', {
      description: 'Updates of one key that were committed by one write.',
      unit: '{update}',
      advice: { explicitBucketBoundaries: SIZES },
    }),
    rateLimitDecisions: meter.createCounter('flow.rate_limit.decisions', {
      description: 'Decisions of rate limiters, by outcome and by who decided.',
      unit: '{decision}',
    }),
    rateLimitLeased: meter.createCounter('flow.rate_limit.leased', {
      description: 'Units that rate limiters took ahead.',
      unit: '{unit}',
    }),
    lockWait: meter.createHistogram(
      'flow.lock.wait',
      seconds('Time from asking for a lease to the answer, by outcome.'),
    ),
    lockHold: meter.createHistogram('flow.lock.hold', seconds('Time from having a lease to its end.')),
    lockLosses: meter.createCounter('flow.lock.lost', {
      description: 'Leases that ended before their holder gave them back.',
      unit: '{lease}',
    }),
    coordinationWait: meter.createHistogram(
      'flow.coordination.wait',
      seconds('Time that wait groups, latches and barriers were waited for, by outcome.'),
    ),
  };
}
