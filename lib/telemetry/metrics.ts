import type { MeterProvider } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import { InstrumentSource, type Instruments } from './instruments.js';
import { LockMeter } from './lock-meter.js';
import { PublishMeter } from './publish-meter.js';
import { PendingSums } from './pending-sum.js';
import { RateLimitMeter } from './rate-limit-meter.js';
import { StepMeter } from './step-meter.js';
import { StoreMeter } from './store-meter.js';
import { WaitMeter } from './wait-meter.js';

/**
 * Metrics of the library, one instance per module. With no meter provider registered, measuring costs a few
 * additions; a provider that is registered later is picked up. Fetch the meter of a step, bucket or destination
 * once and keep it.
 */
export class FlowMeter {
  private readonly source: InstrumentSource;
  private readonly meters: { flush(instruments: Instruments): void }[] = [];
  private readonly connections = new Map<string, PendingSums>();

  /** @param provider where measurements go. @default OpenTelemetry's global provider */
  constructor(provider?: MeterProvider) {
    this.source = new InstrumentSource(provider, (instruments) => this.flush(instruments));
  }

  /** Whether anything measures: lets callers skip what only serves measuring. */
  get enabled(): boolean {
    return this.source.get() !== undefined;
  }

  /** Meter of one step. */
  step(flow: string, step: string): StepMeter {
    return this.keep(new StepMeter(this.source, { [Attribute.flow]: flow, [Attribute.step]: step }));
  }

  /** Meter of publishes to one destination: a subject without run ids, one of few. */
  publisher(destination: string): PublishMeter {
    return new PublishMeter(this.source, { [Attribute.destinationTemplate]: destination });
  }

  /** Meter of the state objects of one bucket. */
  store(bucket: string): StoreMeter {
    return this.keep(new StoreMeter(this.source, { [Attribute.databaseCollection]: bucket }));
  }

  /** Meter of one rate limiter. */
  rateLimiter(name: string): RateLimitMeter {
    return this.keep(new RateLimitMeter(this.source, { [Attribute.limiter]: name }));
  }

  /** Meter of one lock. @param kind `Mutex`, `Semaphore` … */
  lock(kind: string, name: string): LockMeter {
    return this.keep(new LockMeter(this.source, { [Attribute.lockKind]: kind, [Attribute.lockName]: name }));
  }

  /** Meter of the waits at one wait group, latch or barrier. @param kind `WaitGroup`, `Barrier` … */
  wait(kind: string, name: string): WaitMeter {
    return new WaitMeter(this.source, { [Attribute.waitKind]: kind, [Attribute.waitName]: name });
  }

  /** Counts a change of the connection named `connection` to `status`. */
  connectionStatus(connection: string, status: string): void {
    this.source.get();
    let sums = this.connections.get(connection);
    if (sums === undefined) {
      sums = new PendingSums({ [Attribute.connection]: connection }, Attribute.connectionStatus);
      this.connections.set(connection, sums);
    }
    sums.with(status).sum.add(1);
  }

  /** Hands in what was counted since the last collection. Call it when the module ends. */
  close(): void {
    this.source.close();
  }

  private keep<M extends StepMeter | StoreMeter | RateLimitMeter | LockMeter>(meter: M): M {
    this.meters.push(meter);
    return meter;
  }

  private flush(instruments: Instruments): void {
    for (const meter of this.meters) meter.flush(instruments);
    for (const sums of this.connections.values()) sums.flush(instruments.connectionStatusChanges);
  }
}

export type { LockMeter, PublishMeter, RateLimitMeter, StepMeter, StoreMeter, WaitMeter };
