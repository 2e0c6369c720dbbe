import type { FlowConnection } from 'nestjs-jetstream-flow';

/** The streams of the flow: external messages, and everything between the steps. */
const STREAMS = ['FLOW_flights_IN', 'FLOW_flights'];

/** What the server says about the messages of all steps together. */
export interface FlowDeliveries {
  /** Not handed out yet. */
  readonly waiting: number;
  /** Handed out, and not acknowledged. */
  readonly inHand: number;
  /** Times that a message was handed out: more than once for some, when a worker died with them. */
  readonly delivered: number;
}

/** What is of interest in what the server says about a consumer. */
interface ConsumerState {
  readonly config: { readonly durable_name?: string };
  readonly num_pending: number;
  readonly num_ack_pending: number;
  readonly delivered: { readonly consumer_seq: number };
}

/** Asks the server. It counts for all workers, the dead ones too. */
export async function readDeliveries({ manager }: FlowConnection): Promise<FlowDeliveries> {
  let waiting = 0;
  let inHand = 0;
  let delivered = 0;
  for (const stream of STREAMS) {
    // An old server lists a consumer that is going away at this moment as null.
    const consumers: AsyncIterable<ConsumerState | null> = manager.consumers.list(stream);
    for await (const consumer of consumers) {
      // Those of steps are durable; others are of watches.
      if (consumer?.config.durable_name === undefined) continue;
      waiting += consumer.num_pending;
      inHand += consumer.num_ack_pending;
      delivered += consumer.delivered.consumer_seq;
    }
  }
  return { waiting, inHand, delivered };
}
