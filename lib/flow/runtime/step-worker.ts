import type { Delivery } from '../../stream/delivery.js';
import { PullConsumer } from '../../stream/pull-consumer.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { ShutdownError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import type { StepNode } from '../graph/step-node.js';
import { InFlightGate } from './in-flight-gate.js';
import { LeaseKeeper, type Lease } from './lease-keeper.js';
import type { MessageSource } from './step-message.js';
import type { StepRate } from './step-rate.js';
import type { StepRunner } from './step-runner.js';

const DEFECT_RETRY_MS = 1_000;

/** A durable consumer that feeds a step. */
export interface StepSource {
  readonly kind: MessageSource;
  readonly stream: string;
  readonly consumer: string;
  /** Makes the consumer, also anew when somebody deleted it; absent when others have to. */
  readonly recreate?: () => Promise<void>;
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
  private held = 0;
  private onEmpty: (() => void) | undefined;
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
    private readonly rate?: StepRate,
  ) {
    this.gate = new InFlightGate(node.concurrency);
    this.leases = new LeaseKeeper(node.ackWaitMs);
    this.consumers = sources.map((source) => {
      const consumer: PullConsumer = new PullConsumer(connection, {
        stream: source.stream,
        consumer: source.consumer,
        maxInFlight: node.concurrency + (rate?.waiting ?? 0),
        onMessage: (delivery) => this.hold(delivery, source.kind, consumer),
        onError: (error) => this.log.error(`Step "${node.name}": ${error.message}`, error.stack),
        ...(source.recreate && { recreate: source.recreate }),
      });
      return consumer;
    });
  }

  /** Messages this process holds of the step. */
  get inFlight(): number {
    return this.held;
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
    this.runner.active.giveUpRun(runId, reason);
  }

  /**
   * Stops pulling, lets what runs come to its end until `deadline` aborts, then interrupts it. Messages that
   * did not run, or did not end, go back to the server at once.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping = true;
    const interrupt = (): void => this.runner.active.close(new ShutdownError(this.node.name));
    if (deadline.aborted) interrupt();
    else deadline.addEventListener('abort', interrupt, { once: true });
    // First, so that what is handed back does not come straight here again.
    await Promise.all(this.consumers.map((consumer) => consumer.stop()));
    for (const lease of this.waiting) lease.delivery.nak(0);
    this.rate?.stop();
    await this.empty();
    deadline.removeEventListener('abort', interrupt);
    this.leases.close();
  }

  /** After a {@link stop} that takes too long: hands back what is still in hand, whatever becomes of its result. */
  abandon(): void {
    if (this.held > 0) {
      this.log.error(
        `Step "${this.node.name}": the time for the shutdown is over, and the results of ${this.held} of its messages are ` +
          'not stored. These are delivered again, at the latest after their ackWait.',
      );
    }
    this.leases.handBack();
    this.leases.close();
  }

  private hold(delivery: Delivery, kind: MessageSource, consumer: PullConsumer): void {
    const lease = this.leases.hold(delivery);
    this.held += 1;
    const release = (): void => {
      this.leases.drop(lease);
      consumer.release();
      this.held -= 1;
      if (this.held === 0) this.onEmpty?.();
    };
    // Nothing waits as long as there are places: no promise, no microtask before the handler.
    const work = this.work(lease, kind);
    work.then(release, (error: unknown) => {
      // The runner answers for its own failures: this is a defect of ours, and the message must survive it.
      this.log.error(`Step "${this.node.name}" lost its way with a message: ${describeThrown(error)}`);
      delivery.nak(DEFECT_RETRY_MS);
      release();
    });
  }

  private work(lease: Lease, kind: MessageSource): Promise<void> {
    if (this.rate !== undefined) return this.workInTime(this.rate, lease, kind);
    return this.gate.tryEnter() ? this.workInside(lease, kind) : this.workLater(lease, kind);
  }

  /** When the step's rate allows it. A message without a key of its own keeps its place meanwhile: all others wait as well. */
  private async workInTime(rate: StepRate, lease: Lease, kind: MessageSource): Promise<void> {
    this.waiting.add(lease);
    try {
      if (rate.byKey) await rate.waitByKey(lease.delivery, kind, () => this.gate.enter());
      else await this.enterInTime(rate, lease);
    } catch (error) {
      if (!this.stopping) throw error;
      lease.delivery.nak(0);
      return;
    }
    return this.workInside(lease, kind);
  }

  private async enterInTime(rate: StepRate, { delivery }: Lease): Promise<void> {
    await this.gate.enter();
    try {
      await rate.wait(delivery);
    } catch (error) {
      this.gate.leave();
      throw error;
    }
  }

  private async workLater(lease: Lease, kind: MessageSource): Promise<void> {
    this.waiting.add(lease);
    await this.gate.enter();
    return this.workInside(lease, kind);
  }

  /** With a place of the step; gives it back. */
  private async workInside(lease: Lease, kind: MessageSource): Promise<void> {
    try {
      if (!this.processGate.tryEnter()) {
        this.waiting.add(lease);
        await this.processGate.enter();
      }
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

  private empty(): Promise<void> {
    if (this.held === 0) return Promise.resolve();
    return new Promise((resolve) => (this.onEmpty = resolve));
  }
}
