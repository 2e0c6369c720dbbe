import type { Attributes } from '@opentelemetry/api';
import { Attribute } from './attributes.js';
import type { InstrumentSource } from './instruments.js';

/** Measures publishes to one destination: `flow.publish.duration`. */
export class PublishMeter {
  constructor(
    private readonly source: InstrumentSource,
    private readonly attributes: Attributes,
  ) {}

  /**
   * A publish was acknowledged, or failed.
   *
   * @param durationMs in milliseconds
   * @param errorCode `code` of the error it failed with
   */
  published(durationMs: number, errorCode?: string): void {
    const instruments = this.source.get();
    if (instruments === undefined) return;
    const { attributes } = this;
    instruments.publishDuration.record(
      durationMs / 1000,
      errorCode === undefined ? attributes : { ...attributes, [Attribute.errorType]: errorCode },
    );
  }
}
