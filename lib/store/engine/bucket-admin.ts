import type { StreamState } from '@nats-io/jetstream';
import type { BucketLayout } from './bucket-layout.js';
import { ApiCode, askBucket, inTime, isRefusal } from './bucket-request.js';
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
      async (leftMs) => (await this.info(what, leftMs)).state,
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
      (leftMs) => this.info(what, leftMs),
      () => what,
    );
    await this.persist(
      async (leftMs, attempts) => {
        // An attempt whose reply is lost may have deleted it.
        if (attempts > 0 && !(await this.isThere(created, what, leftMs))) return;
        await this.ask(what, leftMs, () => this.connection.manager.streams.delete(this.layout.stream));
      },
      () => what,
    );
  }

  private async isThere(created: string, what: string, leftMs: number): Promise<boolean> {
    try {
      return (await this.info(what, leftMs)).created === created;
    } catch (error) {
      if (isRefusal(error, ApiCode.streamNotFound)) return false;
      throw error;
    }
  }

  private info(what: string, leftMs: number): ReturnType<StoreConnection['manager']['streams']['info']> {
    return this.ask(what, leftMs, () => this.connection.manager.streams.info(this.layout.stream));
  }

  private ask<T>(what: string, leftMs: number, request: () => Promise<T>): Promise<T> {
    return inTime(this.connection, what, leftMs, askBucket(this.connection, what, request));
  }
}
