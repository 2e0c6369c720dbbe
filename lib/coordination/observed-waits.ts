import { CancelledError } from '../common/errors.js';
import { Attribute } from '../telemetry/attributes.js';
import type { FlowMeter, WaitMeter } from '../telemetry/metrics.js';
import type { FlowTracer } from '../telemetry/tracer.js';
import type { WaitOutcome } from '../telemetry/wait-meter.js';

/** The waits at one wait group, latch or barrier as spans and metrics. */
export class ObservedWaits {
  private readonly tracer: FlowTracer;
  private readonly meter: WaitMeter;

  /** @param kind `WaitGroup`, `Barrier` … */
  constructor(
    { tracer, meter }: { readonly tracer: FlowTracer; readonly meter: FlowMeter },
    private readonly kind: string,
    private readonly name: string,
  ) {
    this.tracer = tracer;
    this.meter = meter.wait(kind, name);
  }

  /** Waits as `wait` does, and ends as that does: with whether what was waited for has come. */
  observe(key: string, wait: () => Promise<boolean>): Promise<boolean> {
    const { kind, name } = this;
    return this.tracer.wait({ kind, name, key }, async (span) => {
      const since = performance.now();
      let outcome: WaitOutcome = 'failed';
      try {
        const hasCome = await wait();
        if (hasCome) outcome = 'done';
        return hasCome;
      } catch (error) {
        if (error instanceof CancelledError) outcome = 'cancelled';
        throw error;
      } finally {
        this.meter.waited(performance.now() - since, outcome);
        span?.setAttribute(Attribute.waitOutcome, outcome);
      }
    });
  }
}
