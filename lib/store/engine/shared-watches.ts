import type { Log } from '../../common/log.js';
import type { BucketLayout } from './bucket-layout.js';
import { askBucket } from './bucket-request.js';
import { BucketWatch, WATCH_BACKOFF, WATCH_PATIENCE_MS, type BucketWatchOptions } from './bucket-watch.js';
import { SharedWatch, type RunningWatch } from './shared-watch.js';
import type { StoreConnection } from './store-connection.js';
import { untilAnswered } from './until-answered.js';

/**
 * The watches of one store. Those of one pattern share a consumer on the server, however many there are; watches of the
 * whole history have one each, since what they begin with is gone for those who come later.
 */
export class SharedWatches {
  private readonly shared = new Map<string, SharedWatch>();

  constructor(
    private readonly connection: StoreConnection,
    private readonly layout: BucketLayout,
    private readonly log: Log,
  ) {}

  /** Begins a watch; see {@link BucketWatch.start}. */
  async start(options: BucketWatchOptions): Promise<RunningWatch> {
    const { pattern, from } = options;
    if (from === 'history') return this.open(options);
    const id = `${from} ${pattern}`;
    const present = this.shared.get(id);
    if (present !== undefined) return present.join(options);
    const parts = {
      open: (own: BucketWatchOptions) => this.open(own),
      lastRevision: (signal: AbortSignal | undefined) => this.lastRevision(signal),
      onEmpty: () => {
        if (this.shared.get(id) === shared) this.shared.delete(id);
      },
      log: this.log,
    };
    const shared = new SharedWatch(parts, options);
    this.shared.set(id, shared);
    return shared.begun();
  }

  private open(options: BucketWatchOptions): Promise<BucketWatch> {
    return BucketWatch.start(this.connection, this.layout, options, this.log);
  }

  private async lastRevision(signal: AbortSignal | undefined): Promise<number> {
    const { stream, bucket } = this.layout;
    const what = `watch bucket "${bucket}"`;
    const ask = () => askBucket(this.connection, what, () => this.connection.manager.streams.info(stream));
    const patience = { patienceMs: WATCH_PATIENCE_MS, backoff: WATCH_BACKOFF, what, signal };
    return (await untilAnswered(this.connection, ask, patience)).state.last_seq;
  }
}
