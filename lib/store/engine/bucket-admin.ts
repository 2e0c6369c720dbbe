import type { StreamState } from '@nats-io/jetstream';
import type { BucketLayout } from './bucket-layout.js';
import { ApiCode, askBucket, isRefusal } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';

/** Has a request asked for again while the server is away; see `untilAnswered`. */
export type Persist = <T>(ask: (leftMs: number, attempts: number) => Promise<T>, what: () => string) => Promise<T>;

/** Requests about a bucket as a whole. */
export class BucketAdmin {
  constructor(
    private readonly connection: StoreConnection,
    private readonly layout: BucketLayout,
    private readonly persist: Persist,
  ) {}

  /** What the bucket holds. */
  state(): Promise<StreamState> {
    const what = `look at bucket "${this.layout.bucket}"`;
    return this.persist(
      async () => (await this.info(what)).state,
      () => what,
    );
  }

  /**
   * Deletes the bucket that is there now. A repetition after a lost answer leaves one that it sees was made of its name meanwhile;
   * one that is made between the look and the deletion, within a round trip, goes as well.
   */
  async deleteBucket(): Promise<void> {
    const what = `delete bucket "${this.layout.bucket}"`;
    const { created } = await this.persist(
      () => this.info(what),
      () => what,
    );
    await this.persist(
      async (_leftMs, attempts) => {
        // An attempt whose reply is lost may have deleted it.
        if (attempts > 0 && !(await this.isThere(created, what))) return;
        await askBucket(this.connection, what, () => this.connection.manager.streams.delete(this.layout.stream));
      },
      () => what,
    );
  }

  private async isThere(created: string, what: string): Promise<boolean> {
    try {
      return (await this.info(what)).created === created;
    } catch (error) {
      if (isRefusal(error, ApiCode.streamNotFound)) return false;
      throw error;
    }
  }

  private info(what: string): ReturnType<StoreConnection['manager']['streams']['info']> {
    return askBucket(this.connection, what, () => this.connection.manager.streams.info(this.layout.stream));
  }
}
