import { fromBinary } from '@bufbuild/protobuf';
import { jetstream, type ConsumerMessages } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { expect } from 'vitest';
import { LeaseTableSchema, type LeaseTable } from '../../../../lib/codec/gen/flow/v1/lease_pb.js';
import { findLease, TAKEOVER_MARGIN_MS } from '../../../../lib/coordination/lease/lease-table.js';
import { until } from '../../../support/until.js';

/**
 * What a busy machine may need to look after a lease that has expired, beyond the margin. Less than the 10 seconds after which who
 * waits writes anyway: without a timer of its own for the expiry, it would notice then.
 */
const SLACK_MS = 6_000;

interface Written {
  readonly table: LeaseTable;
  readonly timeMs: number;
}

/** How a key went from its first holder, which is gone, to the next one; by the server's clock, in milliseconds. */
interface Takeover {
  readonly deadlineMs: number;
  readonly grantedAtMs: number;
}

/** All that is written about a key of a lock, with the times that the server gave it: what slows this process down does not count. */
export class TableHistory implements AsyncDisposable {
  private readonly written: Written[] = [];
  private readonly reading: Promise<void>;

  private constructor(
    private readonly nats: NatsConnection,
    private readonly messages: ConsumerMessages,
  ) {
    this.reading = this.read();
  }

  /** Follows a key whose bucket is there. */
  static async follow(url: string, bucket: string, key: string): Promise<TableHistory> {
    const nats = await connect({ servers: url });
    const consumer = await jetstream(nats).consumers.get(`KV_${bucket}`, {
      filter_subjects: `$KV.${bucket}.${key}`,
    });
    return new TableHistory(nats, await consumer.consume());
  }

  /** Resolves when somebody else than the first holder holds the key; that was in time, and not before. */
  async expectTakeover(): Promise<void> {
    const { deadlineMs, grantedAtMs } = await until(() => this.takeover(), { what: 'the takeover', timeoutMs: 60_000 });
    const late = grantedAtMs - deadlineMs;
    expect(late).toBeGreaterThan(0);
    expect(late).toBeLessThanOrEqual(TAKEOVER_MARGIN_MS + SLACK_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.messages.close();
    await this.reading;
    await this.nats.close();
  }

  private async read(): Promise<void> {
    for await (const message of this.messages)
      this.written.push({
        table: fromBinary(LeaseTableSchema, message.data),
        timeMs: message.info.timestampNanos / 1_000_000,
      });
  }

  private takeover(): Takeover | undefined {
    const first = this.written.flatMap(({ table }) => table.holders)[0];
    if (first === undefined) return undefined;
    const next = this.written.findIndex(({ table: { holders } }) => holders.some(({ id }) => id !== first.id));
    if (next < 0) return undefined;
    const last = this.written.slice(0, next).findLast(({ table }) => findLease(table.holders, first.id) !== undefined);
    const deadlineMs = Number(findLease(last?.table.holders ?? [], first.id)?.deadlineMs);
    return { deadlineMs, grantedAtMs: this.written[next]?.timeMs ?? NaN };
  }
}
