import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { Instruments, InstrumentSource } from './instruments.js';
import { PendingSum } from './pending-sum.js';

/** Measures one rate limiter: `flow.rate_limit.decisions`, `flow.rate_limit.leased`. */
export class RateLimitMeter {
  private readonly decisions = new Map<string, readonly [denied: PendingSum, allowed: PendingSum]>();
  private readonly leases: PendingSum;

  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {
    this.leases = new PendingSum(attributes);
  }

  /** Something was decided. `source`: by whom, one of few. */
  decided(source: string, allowed: boolean): void {
    const sums = this.decisions.get(source) ?? this.addSource(source);
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

  private addSource(source: string): readonly [PendingSum, PendingSum] {
    this.source.get();
    const attributes = { ...this.attributes, [Attribute.limiterSource]: source };
    const of = (outcome: string): PendingSum => new PendingSum({ ...attributes, [Attribute.limiterOutcome]: outcome });
    const sums = [of('denied'), of('allowed')] as const;
    this.decisions.set(source, sums);
    return sums;
  }
}
