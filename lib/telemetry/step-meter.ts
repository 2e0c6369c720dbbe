import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { Instruments, InstrumentSource } from './instruments.js';
import { PendingSum, PendingSums } from './pending-sum.js';

/** Measures one step: `flow.step.duration`, `flow.step.outcomes`, `flow.redeliveries`, `flow.in_flight`. */
export class StepMeter {
  private readonly outcomes: PendingSums;
  private readonly redeliveries: PendingSum;
  private readonly inFlight: PendingSum;

  constructor(
    private readonly source: InstrumentSource,
    attributes: Attributes,
  ) {
    this.outcomes = new PendingSums(attributes, Attribute.outcome);
    this.redeliveries = new PendingSum(attributes);
    this.inFlight = new PendingSum(attributes);
  }

  /** A message was taken up. {@link finished} must follow, once. */
  started(redelivered: boolean): void {
    this.inFlight.add(1);
    if (redelivered) this.redeliveries.add(1);
  }

  /**
   * What became of the message.
   *
   * @param outcome its kind, one of few: `advanced`, `retried` …
   * @param durationMs time since the handler was called, in milliseconds
   */
  finished(outcome: string, durationMs: number): void {
    const { attributes, sum } = this.outcomes.with(outcome);
    sum.add(1);
    this.inFlight.add(-1);
    this.source.get()?.stepDuration.record(durationMs / 1000, attributes);
  }

  /** Hands in what was counted. */
  flush(instruments: Instruments): void {
    this.outcomes.flush(instruments.stepOutcomes);
    this.redeliveries.flush(instruments.redeliveries);
    this.inFlight.flush(instruments.inFlight);
  }
}
