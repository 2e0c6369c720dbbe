import type { Attributes, Counter, UpDownCounter } from '@opentelemetry/api';

/**
 * Adds up numbers until metrics are collected. Adding costs an addition; an SDK's counter costs most of a
 * microsecond each time, because it looks its attributes up by their text. What is added before a meter provider
 * is there counts too, so a level that goes up and down is right from the first collection.
 */
export class PendingSum {
  private pending = 0;

  constructor(private readonly attributes: Attributes) {}

  add(value: number): void {
    this.pending += value;
  }

  /** Hands the sum to its counter. */
  flush(counter: Counter | UpDownCounter): void {
    if (this.pending === 0) return;
    counter.add(this.pending, this.attributes);
    this.pending = 0;
  }
}

/** One value of an attribute, with the attributes made once and its sum. */
export interface PendingSeries {
  readonly attributes: Attributes;
  readonly sum: PendingSum;
}

/** A {@link PendingSum} for each value of one attribute. */
export class PendingSums {
  private readonly series = new Map<string, PendingSeries>();

  /** The values of `name` must be few. */
  constructor(
    private readonly base: Attributes,
    private readonly name: string,
  ) {}

  /** The series whose attributes are the base and `name` = `value`. */
  with(value: string): PendingSeries {
    let series = this.series.get(value);
    if (series === undefined) {
      const attributes = { ...this.base, [this.name]: value };
      series = { attributes, sum: new PendingSum(attributes) };
      this.series.set(value, series);
    }
    return series;
  }

  /** Hands every sum to its counter. */
  flush(counter: Counter): void {
    for (const { sum } of this.series.values()) sum.flush(counter);
  }
}
