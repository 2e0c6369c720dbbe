import { CancelledError, ConnectionError, type FlowError } from '../../common/errors.js';
import type { FlowNames } from '../../common/names.js';
import type { Run } from '../../codec/gen/flow/v1/run_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { EventSubscription } from '../../stream/event-subscription.js';
import { decodeRun, type RunStore, type StoredRun } from '../runs/run-store.js';

/** Pause before the record is read again when the server did not answer. */
const READ_AGAIN_MS = 500;

/**
 * The record of one run as it stands now and after every change. Changes that follow each other while the
 * consumer is busy come as one, the latest. Ends when `signal` aborts, by throwing.
 *
 * The server repeats each stored record on a plain subject, so a watch costs a subscription and one read; after
 * a lost connection the record is read again, as often as it takes.
 *
 * @throws CancelledError when `signal` aborts; ConnectionError when the connection is closed for good.
 */
export async function* watchRun(
  connection: FlowConnection,
  names: FlowNames,
  runs: RunStore,
  runId: string,
  signal?: AbortSignal,
): AsyncGenerator<Run | undefined, never, undefined> {
  const news = new News(signal, `Watching run "${runId}" of flow "${names.flow}"`);
  const subject = names.runEventSubject(runId);
  let subscription: EventSubscription | undefined;
  try {
    // Subscribed first and read then: no change falls between the two.
    subscription = await EventSubscription.open(connection, {
      subject,
      onEvent: (data, sequence) => news.put({ data, sequence }),
      onGap: () => news.put('read'),
      onError: (error) => news.fail(error),
    });
    news.put('read');
    let known = -1;
    for (;;) {
      const next = await news.take();
      const stored = next === 'read' ? await readPatiently(connection, runs, runId) : toStored(next, subject);
      if (stored === 'not-now') {
        news.putLater('read', READ_AGAIN_MS);
      } else if ((stored?.sequence ?? 0) > known) {
        // What was read may also come, or have come, as an event.
        known = stored?.sequence ?? 0;
        yield stored?.run;
      }
    }
  } finally {
    subscription?.stop();
    news.close();
  }
}

async function readPatiently(
  connection: FlowConnection,
  runs: RunStore,
  runId: string,
): Promise<StoredRun | undefined | 'not-now'> {
  try {
    return await runs.readStored(runId);
  } catch (error) {
    if (error instanceof ConnectionError && connection.status !== 'closed') return 'not-now';
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

/** Holds the latest news until somebody takes it. */
class News {
  private latest: Item | undefined;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;
  private later: NodeJS.Timeout | undefined;
  private readonly onAbort = (): void => {
    this.fail(new CancelledError(this.what, { cause: this.signal?.reason }));
  };

  constructor(
    private readonly signal: AbortSignal | undefined,
    private readonly what: string,
  ) {
    if (signal?.aborted) this.onAbort();
    else signal?.addEventListener('abort', this.onAbort, { once: true });
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

  async take(): Promise<Item> {
    while (this.latest === undefined && this.failure === undefined) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    if (this.failure !== undefined) throw this.failure;
    const item = this.latest as Item;
    this.latest = undefined;
    return item;
  }

  close(): void {
    clearTimeout(this.later);
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}
