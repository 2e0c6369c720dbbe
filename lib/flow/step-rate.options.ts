import { z } from 'zod';
import type { Limit } from '../coordination/rate-limiter/algorithms/limit-algorithm.js';
import {
  checkRule,
  ruleFields,
  toLimit,
  type RateLimitRule,
} from '../coordination/rate-limiter/rate-limiter.options.js';
import type { FlowMessage } from './flow-context.js';

/** How fast a step may begin messages, over all instances. */
export interface StepRateOptions<Input = unknown> extends RateLimitRule {
  /** Limits each key by itself: the customer, the host that is called … Messages of other keys pass those that wait. */
  key?(input: Input, message: FlowMessage): string;
  /**
   * With `key`: messages that a process may hold for their turn, beside those that run. When all of them are of keys that wait, the
   * step begins no others in this process. @default 256
   */
  readonly waiting?: number;
}

/** {@link StepRateOptions} checked, with defaults. */
export interface StepRateSettings {
  readonly limit: Limit;
  readonly key?: (input: unknown, message: FlowMessage) => string;
  readonly waiting: number;
}

const fields = {
  ...ruleFields,
  key: z
    .custom<(input: unknown, message: FlowMessage) => string>((value) => typeof value === 'function', {
      error: 'must be a function',
    })
    .optional(),
  waiting: z.int().min(1).default(256),
};

/** Schema of the option `rate`. */
export const stepRateSchema = z.strictObject(fields).superRefine(checkRule);

/** The option, checked, as the runtime uses it. */
export function toRateSettings(rate: z.output<typeof stepRateSchema>): StepRateSettings {
  const { key, waiting } = rate;
  return { limit: toLimit(rate, 'rate'), waiting, ...(key === undefined ? {} : { key }) };
}
