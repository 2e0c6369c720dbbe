import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { Instruments, InstrumentSource } from './instruments.js';
import { PendingSum, PendingSums } from './pending-sum.js';

/** What came of asking for a lease. `denied`: who asks once was told no; `failed`: also because the application stops. */
export type LockOutcome = 'granted' | 'denied' | 'timed-out' | 'cancelled' | 'failed';

/** Measures one mutex, semaphore, lock or election: `flow.lock.wait`, `flow.lock.hold`, `flow.lock.lost`. */
export class LockMeter {
  private readonly waits: PendingSums;
  private readonly losses: PendingSum;

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.waits = new PendingSums(attributes, Attribute.lockOutcome);
    this.losses = new PendingSum(attributes);
  }

  /** Who asked for a lease got an answer, after so many milliseconds. */
  waited(durationMs: number, outcome: LockOutcome): void {
    this.source.get()?.lockWait.record(durationMs / 1000, this.waits.with(outcome).attributes);
  }

  /** A lease has ended after so many milliseconds: it was given back, or lost. */
  held(durationMs: number, outcome: 'released' | 'lost'): void {
    if (outcome === 'lost') this.losses.add(1);
    this.source.get()?.lockHold.record(durationMs / 1000, this.attributes);
  }

  /** Hands in what was counted. */
  flush(instruments: Instruments): void {
    this.losses.flush(instruments.lockLosses);
  }
}
