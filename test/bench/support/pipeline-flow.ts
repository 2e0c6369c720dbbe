import type { Type } from '@nestjs/common';
import { Flow, flow, FlowStep, json, type FlowContract, type JsonSchema } from '../../../lib/index.js';

/** Messages under way at one time, in a flow as by hand. */
export const IN_FLIGHT = 256;

/** What goes through the pipeline. */
export interface Item {
  readonly id: number;
  readonly text: string;
}

/** The work of the step. */
export function handle({ id, text }: Item): Item {
  return { id: id + 1, text };
}

/** A flow whose first step does the work; what it made waits before the second one, which is there to be paused. */
export interface PipelineFlow {
  readonly contract: FlowContract<JsonSchema<Item>, JsonSchema<Item>>;
  /** The class with the steps, for the providers of a module. */
  readonly provider: Type;
}

/** Makes the flow `track_<level>`, which takes messages from the subject `in.track_<level>`. */
export function pipelineFlow(track: 'none' | 'run' | 'step'): PipelineFlow {
  const name = `track_${track}`;
  const contract = flow(name, { input: json<Item>('Item'), output: json<Item>('Item'), track });

  @Flow(contract)
  class PipelineSteps {
    @FlowStep({ subject: `in.${name}`, concurrency: IN_FLIGHT })
    work(item: Item): Item {
      return handle(item);
    }
    @FlowStep({ after: 'work' })
    sink(item: Item): Item {
      return item;
    }
  }
  return { contract, provider: PipelineSteps };
}
