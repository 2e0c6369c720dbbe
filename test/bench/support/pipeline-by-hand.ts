import { jetstream, jetstreamManager, type JsMsg } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { handle, IN_FLIGHT, type Item } from './pipeline-flow.js';

/** The pipeline without a flow. */
export interface PipelineByHand extends AsyncDisposable {
  /** Takes this many messages of `in.hand` through the pipeline. */
  run(messages: number): Promise<void>;
}

/** The work as somebody would write it on the client: callback consume, bounded publishes, acknowledge at the end. */
export async function pipelineByHand(url: string): Promise<PipelineByHand> {
  const nats = await connect({ servers: url, noAsyncTraces: true });
  const js = jetstream(nats);
  const manager = await jetstreamManager(nats);
  await manager.streams.add({ name: 'HAND_IN', subjects: ['in.hand'] });
  await manager.streams.add({ name: 'HAND_OUT', subjects: ['out.hand'] });
  await manager.consumers.add('HAND_IN', { durable_name: 'work', ack_policy: 'explicit', max_ack_pending: -1 });
  const consumer = await js.consumers.get('HAND_IN', 'work');

  async function run(messages: number): Promise<void> {
    let done = 0;
    let inFlight = 0;
    const waiting: JsMsg[] = [];
    let close = (): void => undefined;
    await new Promise<void>((resolve, reject) => {
      const next = (message: JsMsg): void => {
        if (inFlight === IN_FLIGHT) return void waiting.push(message);
        inFlight += 1;
        const result = handle(JSON.parse(message.string()) as Item);
        js.publish('out.hand', JSON.stringify(result)).then(() => {
          message.ack();
          inFlight -= 1;
          done += 1;
          const following = waiting.shift();
          if (following !== undefined) next(following);
          if (done === messages) resolve();
        }, reject);
      };
      consumer.consume({ callback: next, max_messages: 1000 }).then((subscription) => {
        void subscription.closed().then((error) => error && reject(error));
        close = () => void subscription.close();
      }, reject);
    });
    close();
  }

  return { run, [Symbol.asyncDispose]: () => nats.close() };
}
