import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  json,
  TerminalError,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { readDeliveryInfo } from '../../../lib/connection/delivery-info.js';
import { FlowOrchestrator } from '../../../lib/flow/flow.orchestrator.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
/** Every way in which a message may be done. */
const WAYS = [
  'fine',
  'once-more',
  'nothing',
  'dead',
  'decided',
  'decided-meanwhile',
  'cancelled',
  'cancelled-before',
] as const;

describe('acknowledgements', () => {
  const nats = useFlowServer();

  /** A flow of two steps, of which the first ends as its input says. */
  function flowOf(name: string, ack: 'single' | 'double') {
    const contract = flow(name, { input: Text, output: Text });
    class Steps {
      readonly calls: string[] = [];

      @FlowStep({ flow: contract, ack, retry: fixed(1) })
      async first(way: string, ctx: FlowContext): Promise<string | undefined> {
        this.calls.push(way);
        if (way === 'nothing') return undefined;
        if (way === 'once-more' && ctx.attempt === 1) throw new Error('once');
        if (way === 'dead') throw new TerminalError('hopeless');
        if (way === 'decided-meanwhile') {
          // As another worker that got the message too would.
          await nats.streams.publish(`flow.${name}.step.second.${ctx.runId}`, 'decided');
          throw new TerminalError('too late');
        }
        if (way === 'cancelled') await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
        return way;
      }
      @FlowStep({ flow: contract, ack, after: 'first' })
      second(text: string): string {
        return text;
      }
    }
    return { contract, Steps };
  }

  /** Sees the acknowledgements of `stream`: by the subject of their message, whether they ask for a confirmation. */
  function watchAcks(stream: string) {
    const seen: { readonly sequence: number; readonly asks: boolean }[] = [];
    const subscription = nats.streams.nats.subscribe('$JS.ACK.>', {
      callback: (_error, { subject, data, reply }) => {
        const delivery = readDeliveryInfo(subject);
        if (delivery.stream !== stream || new TextDecoder().decode(data) !== '+ACK') return;
        seen.push({ sequence: delivery.streamSequence, asks: (reply ?? '') !== '' });
      },
    });
    return {
      seen,
      async bySubject(): Promise<Record<string, boolean>> {
        const messages = seen.map(async ({ sequence, asks }): Promise<[string, boolean]> => {
          const message = await nats.streams.manager.streams.getMessage(stream, { seq: sequence });
          return [message?.subject ?? `no message ${sequence}`, asks];
        });
        return Object.fromEntries(await Promise.all(messages));
      },
      [Symbol.dispose]: () => subscription.unsubscribe(),
    };
  }

  it.each(['single', 'double'] as const)(
    'by ack: "%s" ask for a confirmation as it says, whatever became of the message',
    async (ack) => {
      const name = `acknowledged_${ack}`;
      const stream = `FLOW_${name}`;
      const { contract, Steps } = flowOf(name, ack);
      // Streams and consumers are there, and no worker is.
      await (await startFlowApp(nats.url, [Steps]))[Symbol.asyncDispose]();
      await using client = await startFlowApp(nats.url, [], { consume: false });
      using acks = watchAcks(stream);
      const flows = client.get(FlowClient);

      // A first delivery has decided, and died with its worker.
      await flows.start(contract, 'decided', { runId: 'decided' });
      const request = { batch: 1, expires: 5_000_000_000 };
      const message = await nats.streams.nats.request(
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.start`,
        JSON.stringify(request),
        { timeout: 6_000, noMux: true },
      );
      expect(message.reply, 'a message').toBeTruthy();
      await nats.streams.publish(`flow.${name}.step.second.decided`, 'decided');
      message.respond('-NAK');
      for (const way of WAYS.filter((one) => one !== 'decided')) await flows.start(contract, way, { runId: way });
      await flows.run(contract, 'cancelled-before').cancel();

      await using worker = await startFlowApp(nats.url, [Steps]);
      await until(() => worker.get(Steps).calls.includes('cancelled'), { what: 'the handler to cancel' });
      await flows.run(contract, 'cancelled').cancel();
      const goOn = ['fine', 'once-more', 'nothing', 'decided', 'decided-meanwhile'];
      const done = [...WAYS.map((way) => `start.${way}`), ...goOn.map((way) => `step.second.${way}`)];
      await until(() => acks.seen.length >= done.length, { what: 'all acknowledgements' });
      await until(
        async () => {
          const left = ['start', 'step_second'].map((consumer) => nats.streams.unfinished(stream, consumer));
          return (await Promise.all(left)).every((count) => count === 0);
        },
        { what: 'the end of all messages' },
      );

      const asks = ack === 'double';
      expect(await acks.bySubject()).toEqual(Object.fromEntries(done.map((rest) => [`flow.${name}.${rest}`, asks])));
      expect(acks.seen).toHaveLength(done.length);
      const called = ['cancelled', 'dead', 'decided-meanwhile', 'fine', 'nothing', 'once-more', 'once-more'];
      expect(worker.get(Steps).calls.toSorted()).toEqual(called);
      expect(await client.get(DeadLetters).get(`${name}.first.dead`)).toMatchObject({ reason: 'terminal' });
      expect(await client.get(DeadLetters).get(`${name}.first.decided-meanwhile`)).toBeUndefined();
    },
  );

  describe('that the server does not confirm', () => {
    const Quiet = flow('quiet', { input: Text, output: Text, track: 'none' });
    const held = { proxy: undefined as CuttingProxy | undefined, calls: 0 };

    class Steps {
      @FlowStep({ flow: Quiet, ack: 'double' })
      only(): void {
        held.calls += 1;
        // An end that is not tracked stores nothing: what the server answers next is the confirmation.
        held.proxy?.holdReplies();
      }
    }

    it('keep the place of their message, up to their timeout, and are no failure of its step', async () => {
      await using proxy = await CuttingProxy.start(nats.server);
      // First, since the application that comes last has the log.
      await using client = await startFlowApp(nats.url, [], { consume: false });
      const lines: string[] = [];
      const keep = (line: unknown): unknown => lines.push(String(line));
      await using app = await FlowTestApp.start(
        () => ({ imports: [FlowModule.forRoot({ servers: proxy.url, pingInterval: '1m' })], providers: [Steps] }),
        { server: nats, logger: { log: keep, warn: keep, error: keep } },
      );
      const inHand = (): number | undefined => app.get(FlowOrchestrator).inFlight().get('quiet')?.get('only');
      held.proxy = proxy;
      await client.get(FlowClient).start(Quiet, 'x', { runId: 'unconfirmed' });
      await until(async () => held.calls === 1 && (await nats.streams.unfinished('FLOW_quiet', 'start')) === 0, {
        what: 'the server to take the acknowledgement',
      });
      expect(inHand()).toBe(1);

      await until(() => inHand() === 0, { what: 'the end of its patience' });
      const said = lines.filter((line) => line.includes('"unconfirmed"'));
      expect(said).toEqual([expect.stringMatching(/step "only" is done.*did not confirm/)]);
      held.proxy = undefined;
      proxy.deliverReplies();
      // The server knew of it, and the worker goes on.
      await client.get(FlowClient).start(Quiet, 'x', { runId: 'next' });
      await until(async () => held.calls > 1 && (await nats.streams.unfinished('FLOW_quiet', 'start')) === 0, {
        what: 'the next message',
      });
      expect(held.calls).toBe(2);
      expect(await client.get(DeadLetters).get('quiet.only.unconfirmed')).toBeUndefined();
    });
  });
});
