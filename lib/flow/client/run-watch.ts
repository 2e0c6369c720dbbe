import { CancelledError, type FlowError } from '../../common/errors.js';
import type { FlowNames } from '../../common/names.js';
import type { Run } from '../../codec/gen/flow/v1/run_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { EventSubscription } from '../../stream/event-subscription.js';
import { decodeRun, type RunStore } from '../runs/run-store.js';

/**
 * The record of one run as it stands now and after every change. Changes that follow each other while the
 * consumer is busy come as one, the latest. Ends when `signal` aborts, by throwing.
 *
 * The server repeats each stored record on a plain subject, so a watch costs a subscription and one read; after
 * a lost connection the record is read again.
 *
 * @throws CancelledError when `signal` aborts.
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
  const subscription = await EventSubscription.open(connection, {
    subject,
    onEvent: (data) => news.put({ data }),
    onGap: () => news.put('read'),
    onError: (error) => news.fail(error),
  });
  try {
    // Subscribed first and read then: no change falls between the two.
    yield await runs.read(runId);
    for (;;) {
      const next = await news.take();
      yield next === 'read' ? await runs.read(runId) : decodeRun(next.data, subject);
    }
  } finally {
    subscription.stop();
    news.close();
  }
}

type Item = 'read' | { readonly data: Uint8Array };

/** Holds the latest news until somebody takes it. */
class News {
  private latest: Item | undefined;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;
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
    this.latest = item;
    this.wake?.();
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
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}
