import { z } from 'zod';
import { isValidName, NAME_RULE } from '../common/names.js';
import type { Duration } from '../common/duration.js';
import { durationSchema } from '../common/validate-options.js';
import type { FlowContract } from './contract.js';

/** How a process takes part in flows. */
export interface FlowRuntimeOptions {
  /**
   * Streams, consumers and buckets: `'auto'` creates and updates them, `'verify'` only checks that they are as
   * needed, `'off'` trusts that they are. @default 'auto'
   */
  readonly provision?: 'auto' | 'verify' | 'off';
  /**
   * What survives: `'memory'` nothing but the loss of clients; `'file'` a crash of the server; `'replicated'` the
   * loss of a server of the cluster. Power loss is another matter, see the server's `sync_interval`.
   * @default as the streams and buckets have it; `'file'` for new ones
   */
  readonly durability?: 'memory' | 'file' | 'replicated';
  /** Copies with `durability: 'replicated'`, 2 to 5. @default 3 */
  readonly replicas?: number;
  /** Put before the name of every KV bucket, for example `'staging_'`. @default none */
  readonly bucketPrefix?: string;
  /** Messages that the steps of this process work on at one time, in all. @default 1024 */
  readonly maxInFlight?: number;
  /**
   * How long the application's shutdown may take. Running steps may go on for so long; then they are interrupted, and a
   * second at most goes into handing back. What the server has not taken by then is given up: its messages are delivered
   * again. @default '10s'
   */
  readonly shutdownTimeout?: Duration;
  /** How long dead letters are kept. @default as their stream has it; `'30d'` for a new one */
  readonly deadLetterRetention?: Duration;
  /** Whether this process runs steps, or only starts flows and follows them. @default true */
  readonly consume?: boolean;
  /** Names this process in dead letters. @default host name and process id */
  readonly instance?: string;
  /**
   * Flows whose steps run over this connection: needed with several connections, or to run a part of the flows in this
   * process.
   * @default those that no other connection names; with several such connections, the one without a key takes them
   */
  readonly flows?: readonly FlowContract[];
}

/** Fields of {@link FlowRuntimeOptions} with their defaults. */
export const flowRuntimeOptionsShape = {
  provision: z.enum(['auto', 'verify', 'off']).default('auto'),
  durability: z.enum(['memory', 'file', 'replicated']).optional(),
  replicas: z.int().min(2).max(5).optional(),
  bucketPrefix: z
    .string()
    .refine((prefix) => prefix === '' || isValidName(prefix), NAME_RULE)
    .optional(),
  maxInFlight: z.int().min(1).default(1024),
  shutdownTimeout: durationSchema.prefault('10s'),
  deadLetterRetention: durationSchema.refine((value) => value > 0, 'must be longer than nothing').optional(),
  consume: z.boolean().default(true),
  instance: z.string().min(1).optional(),
  flows: z
    .array(
      z.custom<FlowContract>(
        (value) => typeof value === 'object' && value !== null && 'retentionMs' in value,
        'must be made by flow()',
      ),
    )
    .optional(),
};

/** {@link FlowRuntimeOptions} checked, durations in milliseconds, defaults filled in. */
export type ResolvedFlowRuntimeOptions = z.output<z.ZodObject<typeof flowRuntimeOptionsShape>>;

/** The rules between the options. */
export function checkFlowRuntimeOptions(options: ResolvedFlowRuntimeOptions, context: z.RefinementCtx): void {
  if (options.replicas !== undefined && options.durability !== 'replicated') {
    context.addIssue({ code: 'custom', path: ['replicas'], message: 'needs durability "replicated"' });
  }
}

/** Copies with `durability: 'replicated'` when nothing else is said. */
const DEFAULT_REPLICAS = 3;

/** How many copies of streams and buckets the options ask for; `undefined` when they ask for nothing. */
export function replicasOf({ durability, replicas }: ResolvedFlowRuntimeOptions): number | undefined {
  if (durability === undefined) return undefined;
  return durability === 'replicated' ? (replicas ?? DEFAULT_REPLICAS) : 1;
}

/** What streams and buckets are to be stored in; `undefined` when the options ask for nothing. */
export function storageOf({ durability }: ResolvedFlowRuntimeOptions): 'file' | 'memory' | undefined {
  if (durability === undefined) return undefined;
  return durability === 'memory' ? 'memory' : 'file';
}
