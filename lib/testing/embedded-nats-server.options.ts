import { z } from 'zod';
import { durationSchema } from '../common/validate-options.js';
import type { Duration } from '../common/duration.js';

/** What {@link EmbeddedNatsServer.start} accepts. */
export interface EmbeddedNatsServerOptions {
  /** Whether the server has JetStream. @default true */
  readonly jetstream?: boolean;
  /**
   * Directory of the JetStream store; kept when the server stops.
   * @default a private directory, removed when the server stops
   */
  readonly storeDir?: string;
  /** TCP port on 127.0.0.1. @default a free one, chosen by the server */
  readonly port?: number;
  /**
   * Start of the server version that is needed, such as `'2.9'`. Another binary than the default one is
   * taken from the environment: `NATS_SERVER_BIN_2_9` for `'2.9'`.
   * @default whatever `resolveServerBinary` finds
   */
  readonly version?: string;
  /**
   * Further command line arguments of nats-server, for example `['-c', 'server.conf']`. Of TLS with `handshake_first` and
   * `verify` together nobody can tell from outside that it is up: use one of them.
   * @default []
   */
  readonly args?: readonly string[];
  /** Time the server has until it answers, restarts over a large store included. @default '30s' */
  readonly startTimeout?: Duration;
}

/** Checks {@link EmbeddedNatsServerOptions} and fills in the defaults. */
export const embeddedNatsServerOptionsSchema = z.strictObject({
  jetstream: z.boolean().default(true),
  storeDir: z.string().min(1).optional(),
  port: z.int().min(1).max(65_535).optional(),
  version: z
    .string()
    .regex(/^\d+(\.\d+){0,2}$/, 'is not the start of a version; use text such as "2.9" or "2.15.2"')
    .optional(),
  args: z.array(z.string()).readonly().default([]),
  startTimeout: durationSchema.default(30_000),
});

/** The options with their defaults; durations in milliseconds. */
export type ResolvedServerOptions = z.output<typeof embeddedNatsServerOptionsSchema>;
