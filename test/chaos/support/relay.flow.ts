import {
  Flow,
  flow,
  FlowStep,
  fixed,
  InjectObjectStore,
  json,
  KvObject,
  type FlowContext,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';

export interface Baton {
  readonly number: number;
  /** The steps passed, in their order. */
  readonly trail: readonly string[];
}
export interface Count {
  passed: number;
}

const baton = json<Baton>('Baton');

/** Four steps in a line; the second one counts in a state object. */
export const Relay = flow('relay', { input: baton, output: baton });

/** Counters that all runs share: few, so that every process meets every other at each. */
export const COUNTERS = 50;

@KvObject({ bucket: 'relay_counts', schema: json<Count>('Count') })
export class RelayCounts implements KvReducer<Count, Baton, { counter: number }> {
  key({ counter }: { counter: number }): string {
    return `c${counter}`;
  }
  empty(): Count {
    return { passed: 0 };
  }
  apply(state: Count): void {
    state.passed += 1;
  }
}

// Short, so that what a killed process held comes again soon.
const step = { ackWait: '2s', timeout: '20s', concurrency: 32, retry: fixed('200ms', { attempts: 20 }) } as const;

@Flow(Relay)
export class RelayFlow {
  constructor(@InjectObjectStore(RelayCounts) private readonly counts: ObjectStore<RelayCounts>) {}

  @FlowStep({ ...step })
  first(input: Baton): Baton {
    return pass(input, 'first');
  }

  @FlowStep({ ...step, after: 'first' })
  async second(input: Baton, ctx: FlowContext): Promise<Baton> {
    const key = { counter: input.number % COUNTERS };
    await this.counts.update(key, input, { idempotencyKey: ctx.runId, signal: ctx.signal });
    return pass(input, 'second');
  }

  @FlowStep({ ...step, after: 'second' })
  third(input: Baton): Baton {
    return pass(input, 'third');
  }

  @FlowStep({ ...step, after: 'third' })
  fourth(input: Baton): Baton {
    return pass(input, 'fourth');
  }
}

function pass({ number, trail }: Baton, by: string): Baton {
  return { number, trail: [...trail, by] };
}
