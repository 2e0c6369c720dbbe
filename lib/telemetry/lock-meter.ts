import type { Attributes } from '@opentelemetry/api';
import type { Instruments, InstrumentSource } from './instruments.js';
import { PendingSum } from './pending-sum.js';

/** Measures one mutex, semaphore, lock or election: `flow.lock.wait`, `flow.lock.hold`, `flow.lock.lost`. */
export class LockMeter {
  private readonly losses: PendingSum;

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.losses = new PendingSum(attributes);
  }

  /** A lease was got, after a wait of so many milliseconds. */
  waited(durationMs: number): void {
    this.source.get()?.lockWait.record(durationMs / 1000, this.attributes);
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
