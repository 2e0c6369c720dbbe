import { onAbort } from '../../common/abort-listeners.js';
import type { FlowError } from '../../common/errors.js';
import type { FlowNames } from '../../common/names.js';
import type { Run } from '../../codec/gen/flow/v1/run_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { EventSubscription } from '../../stream/event-subscription.js';
import { isPassing } from '../../stream/jetstream-api.js';
import { decodeRun, type RunStore, type StoredRun } from '../runs/run-store.js';

/** Pause before the record is read again when the server did not answer. */
const READ_AGAIN_MS = 500;

/**
 * The record of one run as it stands now and after every change. Changes that follow each other while the
 * consumer is busy come as one, the latest. Ends when `signal` aborts.
 *
 * The server repeats each stored record on a plain subject, so a watch costs a subscription and one read. While
 * the connection is lost it waits, also when it begins then; afterwards the record is read again, as often as it
 * takes.
 *
 * @throws ConnectionError when the application stops or the connection is closed for good; the record is looked at a last
 * time before.
 */
export async function* watchRun(
  connection: FlowConnection,
  names: FlowNames,
  runs: RunStore,
  runId: string,
  signal?: AbortSignal,
): AsyncGenerator<Run | undefined, void, undefined> {
  const { stopping } = connection;
  const news = new News();
  const unlisten = [
    signal && onAbort(signal, () => news.end('aborted')),
    onAbort(stopping, () => news.end('stopping')),
  ];
  const subject = names.runEventSubject(runId);
  let subscription: EventSubscription | undefined;
  try {
    // Subscribed first and read then: no change falls between the two.
    subscription = EventSubscription.open(connection, {
      subject,
      onEvent: (data, sequence) => news.put({ data, sequence }),
      onListening: () => news.put('read'),
      onError: (error) => news.fail(error),
    });
    let known = -1;
    for (;;) {
      let next = await news.take();
      if (next === 'aborted') return;
      const isLast = next === 'stopping';
      // What a step of this process did at last may be on its way still.
      if (next === 'stopping') next = 'read';
      const stored = next === 'read' ? await readPatiently(connection, runs, runId) : toStored(next, subject);
      if (stored === 'not-now') {
        news.putLater('read', READ_AGAIN_MS);
      } else if ((stored?.sequence ?? 0) > known) {
        // What was read may also come, or have come, as an event.
        known = stored?.sequence ?? 0;
        yield stored?.run;
      }
      if (isLast) throw stopping.reason;
    }
  } finally {
    subscription?.stop();
    news.close();
    for (const stop of unlisten) stop?.();
  }
}

async function readPatiently(
  connection: FlowConnection,
  runs: RunStore,
  runId: string,
): Promise<StoredRun | undefined | 'not-now'> {
  // A request would wait for its timeout; when the connection is back, the subscription says so.
  if (connection.status === 'disconnected') return 'not-now';
  try {
    return await runs.readStored(runId);
  } catch (error) {
    if (isPassing(error) && connection.status !== 'closed') return 'not-now';
    throw error;
  }
}

function toStored({ data, sequence }: RunEvent, subject: string): StoredRun {
  return { run: decodeRun(data, subject), sequence };
}

interface RunEvent {
  readonly data: Uint8Array;
  readonly sequence: number;
}

type Item = 'read' | RunEvent;

/** Why a watch ends: its signal, or the application stops. */
type Ending = 'aborted' | 'stopping';

/** Holds the latest news until somebody takes it. */
class News {
  private latest: Item | undefined;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;
  private later: NodeJS.Timeout | undefined;
  private ended: Ending | undefined;

  /** Nothing is waited for any more. */
  end(how: Ending): void {
    this.ended ??= how;
    this.wake?.();
  }

  put(item: Item): void {
    clearTimeout(this.later);
    this.latest = item;
    this.wake?.();
  }

  /** Unless something else comes until then. */
  putLater(item: Item, delayMs: number): void {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.put(item), delayMs);
  }

  fail(error: FlowError): void {
    this.failure ??= error;
    this.wake?.();
  }

  async take(): Promise<Item | Ending> {
    for (;;) {
      if (this.ended !== undefined) return this.ended;
      if (this.failure !== undefined) throw this.failure;
      const item = this.latest;
      this.latest = undefined;
      if (item !== undefined) return item;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  close(): void {
    clearTimeout(this.later);
  }
}
