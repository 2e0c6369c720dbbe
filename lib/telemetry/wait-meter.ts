import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { InstrumentSource } from './instruments.js';
import { PendingSums } from './pending-sum.js';

/** What came of waiting for others. `failed`: also because it was closed. */
export type WaitOutcome = 'done' | 'cancelled' | 'failed';

/** Measures one wait group, latch or barrier: `flow.coordination.wait`. */
export class WaitMeter {
  private readonly waits: PendingSums;

  constructor(
    private readonly source: InstrumentSource,
    attributes: Attributes,
  ) {
    this.waits = new PendingSums(attributes, Attribute.waitOutcome);
  }

  /** Somebody waits no more, after so many milliseconds. */
  waited(durationMs: number, outcome: WaitOutcome): void {
    this.source.get()?.coordinationWait.record(durationMs / 1000, this.waits.with(outcome).attributes);
  }
}
