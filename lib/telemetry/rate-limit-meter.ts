import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { Instruments, InstrumentSource } from './instruments.js';
import { PendingSum } from './pending-sum.js';

/** What one source decided. */
type Sums = readonly [denied: PendingSum, allowed: PendingSum];

/** Measures one rate limiter: `flow.rate_limit.decisions`, `flow.rate_limit.leased`. */
export class RateLimitMeter {
  private readonly decisions = new Map<string, Sums>();
  // Of many decisions in a row nearly all have the same source, and a leased one costs little more than to look it up.
  private lastSource: string | undefined;
  private lastSums: Sums | undefined;
  private readonly leases: PendingSum;

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.leases = new PendingSum(attributes);
  }

  /** Something was decided. `source`: by whom, one of few. */
  decided(source: string, allowed: boolean): void {
    const last = this.lastSource === source ? this.lastSums : undefined;
    const sums = last ?? this.turnTo(source);
    sums[allowed ? 1 : 0].add(1);
  }

  /** Units were taken ahead. */
  leased(units: number): void {
    this.leases.add(units);
  }

  /** Hands in what was counted. */
  flush(instruments: Instruments): void {
    for (const sums of this.decisions.values()) for (const sum of sums) sum.flush(instruments.rateLimitDecisions);
    this.leases.flush(instruments.rateLimitLeased);
  }

  private turnTo(source: string): Sums {
    const sums = this.decisions.get(source) ?? this.addSource(source);
    this.lastSource = source;
    this.lastSums = sums;
    return sums;
  }

  private addSource(source: string): Sums {
    this.source.get();
    const attributes = { ...this.attributes, [Attribute.limiterSource]: source };
    const of = (outcome: string): PendingSum => new PendingSum({ ...attributes, [Attribute.limiterOutcome]: outcome });
    const sums = [of('denied'), of('allowed')] as const;
    this.decisions.set(source, sums);
    return sums;
  }
}
