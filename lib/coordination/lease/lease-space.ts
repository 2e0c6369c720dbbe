import { toMilliseconds } from '../../common/duration.js';
import { CancelledError, ConfigurationError, ConnectionError } from '../../common/errors.js';
import { Attribute } from '../../telemetry/attributes.js';
import type { LockOutcome } from '../../telemetry/lock-meter.js';
import { recordError, type FlowTracer, type LockTarget } from '../../telemetry/tracer.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { LockTimeoutError } from '../../common/lock-errors.js';
import { storedKey } from '../stored-key.js';
import { HeldLease } from './held-lease.js';
import { KeyLeases, type KeyLeasesParts } from './key-leases.js';
import { leaseTtl, type AcquireOptions, type ResolvedLease } from './lease.options.js';
import type { Lease } from './lease.js';
import type { LeaseRequestOptions } from './lease-request.js';

/** What the leases of one primitive are about. */
export interface LeaseSpaceParts extends KeyLeasesParts {
  /** For errors and the log: `Mutex "orders"`. */
  readonly what: string;
  /** For spans. */
  readonly target: Pick<LockTarget, 'kind' | 'name'>;
  readonly limits: ResolvedLease;
  readonly tracer: FlowTracer;
  /** Aborts when nobody may wait any more. */
  readonly stopping: AbortSignal;
}

/** The leases of all keys of one primitive, as this process has them. */
export class LeaseSpace {
  private readonly keys = new Map<string, KeyLeases>();
  private closed = false;

  constructor(private readonly parts: LeaseSpaceParts) {
    parts.stopping.addEventListener('abort', () => this.rejectWaiting(), { once: true });
  }

  /** Waits for a lease, for as long as the options say. */
  async acquire(key: string, shared: boolean, options: AcquireOptions): Promise<HeldLease> {
    return this.traced(await this.take(key, shared, options));
  }

  /** A lease if there is one to have now. */
  async tryAcquire(key: string, shared: boolean, options: Omit<AcquireOptions, 'wait'>): Promise<Lease | undefined> {
    const ask = (): Promise<HeldLease | undefined> =>
      this.of(key).tryAcquire({ ...this.request(key, shared, options), waitMs: undefined });
    const lease = await this.tracedWait(key, ask);
    return lease === undefined ? undefined : this.traced(lease);
  }

  /** Waits for a lease for as long as it takes, which may be for as long as the process lives: so there is no span of the wait. */
  async acquireSometime(key: string, signal: AbortSignal): Promise<HeldLease> {
    return this.traced(await this.timed(() => this.wait(key, false, { signal })));
  }

  /** Calls `fn` with a lease, and gives it back. */
  async run<T>(
    key: string,
    shared: boolean,
    fn: (lease: Lease) => T | Promise<T>,
    options: AcquireOptions,
  ): Promise<Awaited<T>> {
    const lease = await this.take(key, shared, options);
    try {
      return await this.parts.tracer.lock('hold', this.targetOf(lease), async () => {
        const result = await fn(lease);
        lease.assertHeld();
        return result;
      });
    } finally {
      await this.giveBack(lease);
    }
  }

  /** Ends a lease of this space for its holder, before it is released: its signal aborts. */
  forfeit(lease: Lease, reason: string): void {
    if (lease instanceof HeldLease) lease.forfeit(reason);
  }

  /** Makes sure that the server has what leases are kept in. */
  async ready(): Promise<void> {
    await this.parts.store.ready();
  }

  /** Gives back what is held, and rejects who waits. Takes no more. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.keys.values()].map((leases) => leases.close(this.closedError())));
  }

  private take(key: string, shared: boolean, options: AcquireOptions): Promise<HeldLease> {
    return this.tracedWait(key, () => this.wait(key, shared, options));
  }

  private tracedWait<T extends HeldLease | undefined>(key: string, ask: () => Promise<T>): Promise<T> {
    const { tracer, target } = this.parts;
    return tracer.lock('acquire', { ...target, key }, (span) =>
      this.timed(ask, (outcome) => span?.setAttribute(Attribute.lockOutcome, outcome)),
    );
  }

  private async timed<T extends HeldLease | undefined>(
    ask: () => Promise<T>,
    tell?: (outcome: LockOutcome) => void,
  ): Promise<T> {
    const since = performance.now();
    let outcome: LockOutcome = 'failed';
    try {
      const lease = await ask();
      outcome = lease === undefined ? 'denied' : 'granted';
      return lease;
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      this.parts.meter.waited(performance.now() - since, outcome);
      tell?.(outcome);
    }
  }

  /** A lease that others give back, with its span. */
  private traced(lease: HeldLease): HeldLease {
    const span = this.parts.tracer.startHold(this.targetOf(lease));
    if (span === undefined) return lease;
    lease.onEnd((lostBy) => {
      if (lostBy !== undefined) recordError(span, lostBy);
      span.end();
    });
    return lease;
  }

  private targetOf({ key, fencingToken }: Lease): LockTarget {
    return { ...this.parts.target, key, fencingToken };
  }

  private async wait(key: string, shared: boolean, options: AcquireOptions): Promise<HeldLease> {
    const request = this.request(key, shared, options);
    const { stopping } = this.parts;
    if (request.waitMs !== 0 && !stopping.aborted) return this.of(key).acquire(request);
    const lease = await this.of(key).tryAcquire({ ...request, waitMs: undefined });
    if (lease !== undefined) return lease;
    throw request.waitMs === 0 ? new LockTimeoutError(request.what, 0) : this.stoppingError();
  }

  private rejectWaiting(): void {
    for (const leases of [...this.keys.values()]) leases.rejectWaiting(this.stoppingError());
  }

  /** What was done under it is done: that others have to wait until the lease expires is no failure of that. */
  private async giveBack(lease: Lease): Promise<void> {
    try {
      await lease.release();
    } catch (error) {
      this.parts.log.warn(
        `${this.parts.what}, key "${lease.key}": the lease could not be given back, it will expire: ${describeThrown(error)}`,
      );
    }
  }

  private of(key: string): KeyLeases {
    if (this.closed) throw this.closedError();
    let leases = this.keys.get(key);
    if (leases === undefined) {
      const forget = (): void => {
        if (this.keys.get(key) === leases) this.keys.delete(key);
      };
      leases = new KeyLeases({ key, stored: storedKey(key), what: this.nameOf(key) }, this.parts, forget);
      this.keys.set(key, leases);
    }
    return leases;
  }

  private request(key: string, shared: boolean, { ttl, wait, signal }: AcquireOptions): LeaseRequestOptions {
    if (key === '') throw new ConfigurationError(this.parts.what, ['the key is empty']);
    return {
      what: this.nameOf(key),
      shared,
      ttlMs: leaseTtl(this.parts.what, ttl, this.parts.limits.ttl),
      waitMs: wait === undefined ? undefined : toMilliseconds(wait),
      signal,
    };
  }

  private nameOf(key: string): string {
    return `${this.parts.what}, key "${key}"`;
  }

  private stoppingError(): ConnectionError {
    const { what, stopping } = this.parts;
    return new ConnectionError(`${what}: the application stops, and nobody waits any more.`, {
      cause: stopping.reason,
    });
  }

  private closedError(): ConnectionError {
    return new ConnectionError(`${this.parts.what} is closed.`);
  }
}

function outcomeOf(error: unknown): LockOutcome {
  if (error instanceof LockTimeoutError) return 'timed-out';
  return error instanceof CancelledError ? 'cancelled' : 'failed';
}
