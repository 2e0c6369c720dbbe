import type { Delivery } from '../../stream/delivery.js';
import { PullConsumer } from '../../stream/pull-consumer.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { Log } from '../../common/log.js';
import type { StepNode } from '../graph/step-node.js';
import { InFlightGate } from './in-flight-gate.js';
import { LeaseKeeper, type Lease } from './lease-keeper.js';
import type { MessageSource } from './step-message.js';
import { ShutdownError, type StepRunner } from './step-runner.js';

/** A durable consumer that feeds a step. */
export interface StepSource {
  readonly kind: MessageSource;
  readonly stream: string;
  readonly consumer: string;
  /** Makes the consumer anew when somebody deleted it. */
  readonly recreate: () => Promise<void>;
}

/**
 * One step in this process: pulls from its sources no more than it may hold, keeps the leases, and hands
 * everything back when it stops. At most `concurrency` messages of the step are held by a source, and at most
 * as many run, whatever the number of sources.
 */
export class StepWorker {
  private readonly consumers: PullConsumer[];
  private readonly gate: InFlightGate;
  private readonly leases: LeaseKeeper;
  private readonly held = new Set<Promise<void>>();
  /** Held, but without a place to run yet. */
  private readonly waiting = new Set<Lease>();
  private stopping = false;

  constructor(
    connection: FlowConnection,
    readonly node: StepNode,
    sources: readonly StepSource[],
    private readonly runner: StepRunner,
    private readonly processGate: InFlightGate,
    private readonly log: Log,
  ) {
    this.gate = new InFlightGate(node.concurrency);
    this.leases = new LeaseKeeper(node.ackWaitMs);
    this.consumers = sources.map((source) => {
      const consumer: PullConsumer = new PullConsumer(connection, {
        stream: source.stream,
        consumer: source.consumer,
        maxInFlight: node.concurrency,
        onMessage: (delivery) => this.hold(delivery, source.kind, consumer),
        onError: (error) => this.log.error(`Step "${node.name}": ${error.message}`, error.stack),
        recreate: source.recreate,
      });
      return consumer;
    });
  }

  /** Messages this process holds of the step. */
  get inFlight(): number {
    return this.held.size;
  }

  async start(): Promise<void> {
    await Promise.all(this.consumers.map((consumer) => consumer.start()));
  }

  /** Stops pulling; what is in hand goes on. */
  pause(): void {
    for (const consumer of this.consumers) consumer.pause();
  }

  resume(): void {
    for (const consumer of this.consumers) consumer.resume();
  }

  /** Gives up the handlers of one run. */
  giveUpRun(runId: string, reason: Error): void {
    this.runner.active.giveUp(reason, runId);
  }

  /**
   * Stops pulling, lets what runs come to its end until `deadline` aborts, then interrupts it. Messages that
   * did not run, or did not end, go back to the server at once.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = true;
    const interrupt = (): void => this.runner.active.giveUp(new ShutdownError(this.node.name));
    if (deadline.aborted) interrupt();
    else deadline.addEventListener('abort', interrupt, { once: true });
    for (const lease of this.waiting) lease.delivery.nak(0);
    await Promise.all(this.consumers.map((consumer) => consumer.stop()));
    while (this.held.size > 0) await Promise.all(this.held);
    deadline.removeEventListener('abort', interrupt);
    this.leases.close();
  }

  private hold(delivery: Delivery, kind: MessageSource, consumer: PullConsumer): void {
    const lease = this.leases.hold(delivery);
    const work = this.work(lease, kind)
      .catch((error: unknown) => {
        // The runner answers for its own failures: this is a defect of ours, and the message must survive it.
        this.log.error(`Step "${this.node.name}" lost its way with a message: ${String(error)}`);
        delivery.nak(0);
      })
      .finally(() => {
        this.leases.drop(lease);
        this.held.delete(work);
        consumer.release();
      });
    this.held.add(work);
  }

  private async work(lease: Lease, kind: MessageSource): Promise<void> {
    this.waiting.add(lease);
    if (!this.gate.tryEnter()) await this.gate.enter();
    try {
      if (!this.processGate.tryEnter()) await this.processGate.enter();
      try {
        this.waiting.delete(lease);
        if (this.stopping) lease.delivery.nak(0);
        else await this.runner.run(lease, kind);
      } finally {
        this.processGate.leave();
      }
    } finally {
      this.gate.leave();
    }
  }
}
