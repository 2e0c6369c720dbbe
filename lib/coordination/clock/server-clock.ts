import { randomUUID } from 'node:crypto';
// The global of this name is a getter, which takes part of the time of a decision that needs nothing else but the clock.
import { performance } from 'node:perf_hooks';
import { describeThrown } from '../../common/describe-thrown.js';
import { ConfigurationError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { CLOCK_STREAM, CLOCK_SUBJECT } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { ProvisionMode } from '../../stream/provision-mode.js';
import { provisionStream } from '../../stream/provision-stream.js';
import { readBySequence } from '../../stream/stream-reader.js';

/** Readings per measurement; the most exact one counts. */
const READINGS = 5;
/** Readings in a row that may be gone before they are read. */
const ATTEMPTS = 20;
/** How often the clock is measured again: processes' clocks drift apart by some milliseconds per minute at worst. */
const REFRESH_MS = 30_000;
/** How long a reading may take to be read back. */
const KEEP_MS = 120_000;
const KEEP_COUNT = 1_000;
const NANOS_PER_MS = 1_000_000;
const EMPTY = new Uint8Array(0);

/** What a clock needs of the application around it. */
export interface ServerClockEnvironment {
  readonly mode: ProvisionMode;
  readonly log: Log;
  /** Of the stream that is measured by, when it has to be made. @default 'file' */
  readonly storage?: 'file' | 'memory' | undefined;
  /** Of the stream that is measured by, when it has to be made. @default 1 */
  readonly replicas?: number | undefined;
}

/** The server's clock as one reading saw it. */
interface Reading {
  /** Server's milliseconds since the epoch, minus the process's performance clock. */
  readonly offset: number;
  readonly errorMs: number;
}

/**
 * The server's clock, for what several processes have to time alike. It is measured by messages that the server stores:
 * the time it gives a message lies between the moments when it was sent and acknowledged. In between, the process's
 * performance clock goes on, which nobody sets: whatever `Date.now()` says here has no influence.
 *
 * Measured again every 30 seconds and after each reconnect. In a cluster it is the clock of the server that leads stream
 * `FLOW_CLOCK`, for all processes. Two processes differ by at most the sum of their {@link errorMs}, and what their
 * performance clocks drift apart in 30 seconds (a few milliseconds).
 */
export class ServerClock {
  private best: Reading;
  private refreshing: Promise<void> | undefined;
  private closed = false;
  private warned = false;
  private readonly timer: NodeJS.Timeout;
  private readonly stopListening: () => void;

  private constructor(
    private readonly connection: FlowConnection,
    private readonly log: Log,
    first: Reading,
  ) {
    this.best = first;
    this.timer = setInterval(() => void this.refresh(), REFRESH_MS).unref();
    this.stopListening = connection.onStatus((status) => {
      if (status === 'connected') void this.refresh();
    });
  }

  /**
   * Measures the clock of the server. Close it before the connection.
   *
   * @throws ConfigurationError when the stream on the server does not fit, keeps no readings, or may not be made; ConnectionError,
   * PublishTimeoutError or JetStreamRequestError when the server does not answer.
   */
  static async start(connection: FlowConnection, environment: ServerClockEnvironment): Promise<ServerClock> {
    const { mode, log, storage = 'file', replicas = 1 } = environment;
    await provisionStream(connection, { name: CLOCK_STREAM, subjects: [CLOCK_SUBJECT] }, mode, log, {
      storage,
      num_replicas: replicas,
      max_msgs: KEEP_COUNT,
      max_age: KEEP_MS * NANOS_PER_MS,
      duplicate_window: KEEP_MS * NANOS_PER_MS,
    });
    return new ServerClock(connection, log, await measure(connection));
  }

  /** Milliseconds since the epoch by the server's clock, with a fraction. May step back by a little when measured anew. */
  now(): number {
    return performance.now() + this.best.offset;
  }

  /** How far {@link now} may have been from the server's clock when it was measured last, in milliseconds: half a round trip. */
  get errorMs(): number {
    return this.best.errorMs;
  }

  /** Measures now. Never rejects: when the server does not answer, which is logged once, the clock goes on as it is. */
  refresh(): Promise<void> {
    this.refreshing ??= this.measureAgain().finally(() => (this.refreshing = undefined));
    return this.refreshing;
  }

  /** Measures no more; {@link now} goes on. */
  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.stopListening();
  }

  private isClosed(): boolean {
    return this.closed;
  }

  private async measureAgain(): Promise<void> {
    if (this.isClosed() || this.connection.status !== 'connected') return;
    try {
      this.best = await measure(this.connection);
      this.warned = false;
    } catch (error) {
      if (this.isClosed() || this.warned) return;
      this.warned = true;
      this.log.warn(`The server's clock could not be measured, the last measurement stays: ${describeThrown(error)}`);
    }
  }
}

async function measure(connection: FlowConnection): Promise<Reading> {
  let best = await read(connection);
  for (let reading = 1; reading < READINGS; reading++) {
    const next = await read(connection);
    if (next.errorMs < best.errorMs) best = next;
  }
  return best;
}

/** @throws ConfigurationError when the stream keeps nothing. */
async function read(connection: FlowConnection): Promise<Reading> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const reading = await readOnce(connection);
    if (reading !== undefined) return reading;
  }
  throw new ConfigurationError(`Stream "${CLOCK_STREAM}"`, [
    'does not keep what is stored until it is read: delete it, for it to be made anew, or give it retention "limits", max_msgs ' +
      `${KEEP_COUNT} and max_age ${KEEP_MS / 60_000} minutes`,
  ]);
}

/** `undefined` when it was gone before it was read: others measure as well, and the stream keeps a thousand readings only. */
async function readOnce(connection: FlowConnection): Promise<Reading | undefined> {
  const sent = performance.now();
  // With an id it is repeated: while another process makes the stream, an old server shows it before it listens for it.
  const { sequence } = await connection.publisher.publish(CLOCK_SUBJECT, EMPTY, { messageId: randomUUID() });
  const acknowledged = performance.now();
  const stored = await readBySequence(connection, CLOCK_STREAM, sequence);
  if (stored === undefined) return undefined;
  // The client cuts the server's nanoseconds off.
  const time = stored.time.getTime() + 0.5;
  return { offset: time - (sent + acknowledged) / 2, errorMs: (acknowledged - sent) / 2 + 0.5 };
}
