import type { Delivery } from '../../stream/delivery.js';
import { PullConsumer } from '../../stream/pull-consumer.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { ShutdownError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import type { StepNode } from '../graph/step-node.js';
import { InFlightGate } from './in-flight-gate.js';
import { LeaseKeeper, type Lease } from './lease-keeper.js';
import { PauseSwitch } from './pause-switch.js';
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
  private readonly pauses = new PauseSwitch();
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

  /** Stops pulling. What runs goes on; what is in hand and has not begun waits. */
  pause(): void {
    if (!this.stopping) this.pauses.pause();
    for (const consumer of this.consumers) consumer.pause();
  }

  resume(): void {
    this.pauses.resume();
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
    await Promise.all([...this.waiting].map((lease) => this.handBack(lease)));
    this.rate?.stop();
    this.pauses.resume();
    await this.empty();
    deadline.removeEventListener('abort', interrupt);
    this.leases.close();
  }

  /** After a {@link stop} that takes too long: hands back what is still in hand, whatever becomes of its result. */
  abandon(): void {
    if (this.held > 0) {
      this.log.error(
        `Step "${this.node.name}": the time for the shutdown is over, and ${this.held} of its messages have not come to their ` +
          'end: their results are not stored, or the server has not confirmed that they are done. It delivers these again, at the latest after their ackWait.',
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

  private async workLater(lease: Lease, kind: MessageSource): Promise<void> {
    this.waiting.add(lease);
    await this.gate.enter();
    return this.workInside(lease, kind);
  }

  /** When the step's rate allows it. */
  private async workInTime(rate: StepRate, lease: Lease, kind: MessageSource): Promise<void> {
    // Before it may be handed back, which counts on.
    if (lease.delivery.redelivered) await rate.unbegun.forgive(lease.delivery);
    this.waiting.add(lease);
    const key = rate.keyOf(lease.delivery, kind);
    if (key === undefined) return this.workLater(lease, kind);
    const begin = (): Promise<Begun> => this.beginInTime(rate, key, lease, kind);
    let begun: Begun;
    try {
      begun = rate.byKey ? await rate.inTurn(key, begin) : await begin();
    } catch (error) {
      if (!this.stopping) throw error;
      return this.handBack(lease);
    }
    await begun.ended;
  }

  /**
   * Begins a message with a unit of its rate, which is taken last, when there is a place for the message: units taken earlier would
   * pile up before the places, and the messages begin all at once. A message without a key of its own keeps the step's place
   * while it waits, since all others wait as well; no other place is kept.
   */
  private async beginInTime(rate: StepRate, key: string, lease: Lease, kind: MessageSource): Promise<Begun> {
    await this.gate.enter();
    let inside = true;
    try {
      for (;;) {
        const waitMs = await this.takeInside(rate, key, lease, kind);
        if (waitMs === 0) return { ended: this.runInside(lease, kind).finally(() => this.gate.leave()) };
        if (rate.byKey) {
          this.gate.leave();
          inside = false;
        }
        await rate.pause(waitMs);
        if (!inside) await this.gate.enter();
        inside = true;
      }
    } catch (error) {
      if (inside) this.gate.leave();
      throw error;
    }
  }

  /** Takes a place of the process and a unit, or neither. @returns 0, or milliseconds until there may be a unit. */
  private async takeInside(rate: StepRate, key: string, lease: Lease, kind: MessageSource): Promise<number> {
    await this.enterProcess(lease);
    let waitMs = Infinity;
    try {
      waitMs = this.stopping || this.runner.passesOver(lease.delivery, kind) ? 0 : await rate.take(key);
      return waitMs;
    } finally {
      if (waitMs > 0) this.processGate.leave();
    }
  }

  /** With a place of the step; gives it back. */
  private async workInside(lease: Lease, kind: MessageSource): Promise<void> {
    try {
      if (this.pauses.isPaused || !this.processGate.tryEnter()) await this.enterProcess(lease);
      await this.runInside(lease, kind);
    } finally {
      this.gate.leave();
    }
  }

  /** Takes a place of the process, as soon as there is one and the step is not paused. */
  private async enterProcess(lease: Lease): Promise<void> {
    this.waiting.add(lease);
    for (;;) {
      await this.pauses.whenResumed();
      await this.processGate.enter();
      if (!this.pauses.isPaused) return;
      this.processGate.leave();
    }
  }

  /** With a place of the process; gives it back. */
  private async runInside(lease: Lease, kind: MessageSource): Promise<void> {
    try {
      this.waiting.delete(lease);
      if (this.stopping) await this.handBack(lease);
      else await this.runner.run(lease, kind);
    } finally {
      this.processGate.leave();
    }
  }

  /** For a message that did not begin. Those that wait for a rate come back again and again: that is no attempt. */
  private async handBack({ delivery }: Lease): Promise<void> {
    if (delivery.settled) return;
    await this.rate?.unbegun.add(delivery);
    delivery.nak(0);
  }

  private empty(): Promise<void> {
    if (this.held === 0) return Promise.resolve();
    return new Promise((resolve) => (this.onEmpty = resolve));
  }
}

/** A message that has begun; not the promise itself, which whoever waits for the beginning would wait for. */
interface Begun {
  readonly ended: Promise<void>;
}
