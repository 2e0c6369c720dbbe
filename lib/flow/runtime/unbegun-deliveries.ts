import { describeThrown } from '../../common/describe-thrown.js';
import type { FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { Delivery } from '../../stream/delivery.js';
import { readLastBySubject } from '../../stream/stream-reader.js';

/**
 * Counts, in the flow's stream, the deliveries of a step's messages that ended before the handler could begin. The server counts
 * every delivery; a message that waits for hours through several deployments would have used up its attempts before the first.
 */
export class UnbegunDeliveries {
  constructor(
    private readonly connection: FlowConnection,
    private readonly names: FlowNames,
    private readonly step: string,
    private readonly log: Log,
  ) {}

  /** Has those of a redelivered message not count as attempts. */
  async forgive(delivery: Delivery): Promise<void> {
    if (!delivery.redelivered) return;
    try {
      const stored = await readLastBySubject(this.connection, this.names.stream, this.subjectOf(delivery));
      if (stored !== undefined) delivery.forgive(Number(new TextDecoder().decode(stored.data)) || 0);
    } catch (error) {
      this.log.warn(
        `Step "${this.step}": deliveries before message ${delivery.sequence} of stream "${delivery.stream}" began count as ` +
          `attempts: ${describeThrown(error)}`,
      );
    }
  }

  /** Counts this one; to be told of once per delivery, before it is handed back. */
  async add(delivery: Delivery): Promise<void> {
    try {
      const count = String(delivery.forgiven + 1);
      await this.connection.publisher.publish(this.subjectOf(delivery), new TextEncoder().encode(count));
    } catch (error) {
      this.log.warn(
        `Step "${this.step}": message ${delivery.sequence} of stream "${delivery.stream}" goes back without having begun, and ` +
          `that counts as an attempt: ${describeThrown(error)}`,
      );
    }
  }

  private subjectOf({ stream, sequence }: Delivery): string {
    return this.names.unbegunSubject(this.step, stream, sequence);
  }
}
