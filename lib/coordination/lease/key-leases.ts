import { describeThrown } from '../../common/describe-thrown.js';
import type { Log } from '../../common/log.js';
import type { LockMeter } from '../../telemetry/metrics.js';
import { BackgroundWork } from './background-work.js';
import { GrantGap } from './grant-gap.js';
import type { HeldLease } from './held-lease.js';
import { HeldLeases, type Grant } from './held-leases.js';
import { KeyWatch } from './key-watch.js';
import { LeaseRequest } from './lease-request.js';
import type { LeaseRequestOptions, LeaseRequestParts, LeaseRequestPlace } from './lease-request.js';
import type { Granted, LeasedKey, LeaseStore, SeenTable } from './lease-store.js';
import { LineTimers } from './line-timers.js';
import { findLease } from './lease-table.js';
import { TableOrder } from './table-order.js';
import type { ResolvedLease } from './lease.options.js';

/** What the leases of one primitive share. */
export interface KeyLeasesParts {
  readonly store: LeaseStore;
  readonly limits: Pick<ResolvedLease, 'maxHold' | 'onMaxHold'>;
  /**
   * How many of this process may stand in the stored line of a key at a time. The others wait in the process: they cost
   * the server nothing, and a process with many waiters gets no more turns than one with few.
   */
  readonly places: number;
  readonly log: Log;
  readonly requests: LeaseRequestParts;
  readonly meter: LockMeter;
}

/**
 * The leases of one key that this process holds or waits for.
 *
 * Waiters stand in a line of the process; the first of them also in the stored one. They learn that it is their turn from the
 * operations of this process, or by a watch of the key. Nothing is asked for again and again: the watch tells of every
 * change, and a timer of the time when the present holder expires.
 */
export class KeyLeases implements LeaseRequestPlace {
  private readonly line: LeaseRequest[] = [];
  /** Who stands in the stored line, or is about to. Never fewer than there are places while somebody is in {@link line}. */
  private readonly placed = new Map<string, LeaseRequest>();
  /** Who asks once, and stands in no line. */
  private readonly asking = new Set<LeaseRequest>();
  private readonly held: HeldLeases;
  private readonly background: BackgroundWork;
  private readonly watch: KeyWatch;
  private readonly timers: LineTimers;
  private readonly order = new TableOrder();
  private keeping = false;
  private readonly gap = new GrantGap();
  /** Leases on their way back that somebody waits for. */
  private leaving = 0;

  /** @param onIdle called when nothing is held or waited for any more */
  constructor(
    private readonly of: LeasedKey,
    private readonly parts: KeyLeasesParts,
    private readonly onIdle: () => void,
  ) {
    const { store, log, limits, meter } = parts;
    const { stored, what } = of;
    this.background = new BackgroundWork(
      () => this.checkIdle(),
      (work, error) => this.report(work, error),
    );
    this.timers = new LineTimers({
      until: (timeMs) => store.until(timeMs),
      onExpiry: () => this.background.run('looked after', async () => this.see(await store.settle(stored))),
      onKeep: () => this.keep(),
    });
    this.watch = new KeyWatch({
      what,
      follow: (signal) => store.follow(stored, signal),
      onSeen: (seen) => this.see(seen, false),
      onStopped: () => this.checkIdle(),
      log,
    });
    this.held = new HeldLeases({
      of,
      limits,
      log,
      store,
      meter,
      renew: (id, ttlMs, signal) => this.renew(id, ttlMs, signal),
      leave: (id) => this.leave(id),
      leaveLater: (id) => this.leaveLater(id),
      onEnd: () => this.checkIdle(),
    });
  }

  get isHeld(): boolean {
    return this.held.size > 0;
  }

  /** Waits for a lease; rejects as the request says. */
  acquire(options: LeaseRequestOptions): Promise<HeldLease> {
    const request = this.request(options);
    this.line.push(request);
    this.advance();
    return request.promise as Promise<HeldLease>;
  }

  /** A lease if it is free now and nobody waits. */
  tryAcquire(options: LeaseRequestOptions): Promise<HeldLease | undefined> {
    const request = this.request(options);
    // Those of this process who wait are in front of us; the server need not be asked.
    if (this.line.length > 0 || this.placed.size > 0) request.resolve(undefined);
    else if (!request.settled) this.background.run('asked for', () => this.ask(request));
    return request.promise;
  }

  /** Rejects everybody who waits. What is held stays, and who asks once gets the answer. */
  rejectWaiting(reason: Error): void {
    for (const request of this.line.splice(0)) request.reject(reason);
    for (const request of [...this.placed.values()]) {
      request.reject(reason);
      this.onGivenUp(request);
    }
  }

  /** Ends everything: who waits is rejected with `reason`, what is held is lost and given back. */
  async close(reason: Error): Promise<void> {
    this.rejectWaiting(reason);
    for (const request of this.asking) request.reject(reason);
    const outcomes = await Promise.allSettled([...this.held.close(), this.watch.stop(), this.background.ended()]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') this.report('released', outcome.reason);
  }

  /** Takes up waiters of the process into the stored line, as far as there are places. */
  private advance(more = 0): void {
    while (this.placed.size < this.parts.places + more) {
      const request = this.line.shift();
      if (request === undefined) break;
      if (!request.settled) void this.enter(request);
    }
    this.planKeeping();
    this.checkIdle();
  }

  private request(options: LeaseRequestOptions): LeaseRequest {
    return new LeaseRequest(options, this.parts.requests, this);
  }

  /** Asks for a lease once. Never rejects. */
  private async ask(request: LeaseRequest): Promise<void> {
    this.asking.add(request);
    try {
      const { table, revision, appliedAt } = await this.parts.store.enter(this.of.stored, request.wish, false);
      const record = findLease(table.holders, request.id);
      if (record === undefined) request.resolve(undefined);
      // What has expired on its way is not asked for again: by now it may be somebody else's.
      else if (!this.give(request, { record, revision, appliedAt })) {
        this.leaveLater(request.id);
        request.resolve(undefined);
      }
    } catch (error) {
      request.fail(error);
      this.leaveLater(request.id);
    }
    this.asking.delete(request);
  }

  /** Stands in line for a lease. Never rejects. */
  private async enter(request: LeaseRequest): Promise<void> {
    const { id } = request;
    this.placed.set(id, request);
    request.entering = true;
    try {
      const seen = await this.parts.store.enter(this.of.stored, request.wish, true);
      // The watch may have been faster, and the caller may be gone: then it does not stand there any more.
      if (this.placed.get(id) === request) this.entered(request, seen);
      this.see(seen);
    } catch (error) {
      this.placed.delete(id);
      request.fail(error);
      // Whether it stands in the line is not known.
      this.leaveLater(id);
    }
    this.advance();
  }

  private entered(request: LeaseRequest, { table, revision, appliedAt }: Granted): void {
    const record = findLease(table.holders, request.id);
    if (record !== undefined) this.grant(request, { record, revision, appliedAt });
    // The answer was lost, and when it was looked up everything was over.
    else if (findLease(table.waiters, request.id) === undefined) this.enterAnew(request);
    else {
      request.placedAt = revision;
      this.watch.start();
    }
  }

  /** The table of the key as it was at a revision. */
  private see({ table, revision }: SeenTable, own = true): void {
    const order = this.order.judge(revision, own);
    if (order === 'old') return;
    const placed = [...this.placed.values()];
    for (const request of placed) {
      const record = findLease(table.holders, request.id);
      if (record !== undefined) this.grant(request, { record, revision });
      else if (findLease(table.waiters, request.id) !== undefined) request.placedAt ??= revision;
      else if (request.placedAt !== undefined && (order === 'anew' || revision > request.placedAt))
        this.enterAnew(request);
    }
    this.held.compare(table, revision);
    this.timers.planExpiry(table, (id) => this.placed.has(id));
    // Their places are free for those of the process who stand behind them.
    if (this.placed.size < placed.length) this.advance();
  }

  /** Its place, or its lease, has expired: this process was stopped, or the server away, for longer than it is kept. */
  private enterAnew(request: LeaseRequest): void {
    this.placed.delete(request.id);
    this.leaveLater(request.id);
    request.renew();
    void this.enter(request);
  }

  /** The turn of one who stood in line has come. */
  private grant(request: LeaseRequest, grant: Grant): void {
    if (this.give(request, grant)) this.placed.delete(request.id);
    else this.enterAnew(request);
  }

  /** Hands a lease to its request. @returns whether it had not expired by now. */
  private give(request: LeaseRequest, grant: Grant): boolean {
    if (request.settled) {
      this.leaveLater(request.id);
      return true;
    }
    const lease = this.held.take(request, grant);
    if (lease === undefined) return false;
    this.gap.pass(performance.now(), () => request.resolve(lease));
    return true;
  }

  private async renew(id: string, ttlMs: number, signal: AbortSignal): Promise<number | undefined> {
    const { store } = this.parts;
    const { held, appliedAt, ...seen } = await store.renew(this.of.stored, id, signal);
    this.see(seen);
    const deadline = Number(findLease(seen.table.holders, id)?.deadlineMs ?? 0);
    return held ? Math.min(store.validUntil(deadline), appliedAt + ttlMs) : undefined;
  }

  private async leave(id: string): Promise<void> {
    this.leaving += 1;
    try {
      const leaving = this.parts.store.leave(this.of.stored, id);
      // Shares the write: the lease goes to who stands in the line, and the next one takes that place.
      this.advance(1);
      this.see(await leaving);
    } finally {
      this.leaving -= 1;
      this.advance();
    }
  }

  private leaveLater(id: string): void {
    this.background.run('given back', () => this.leave(id));
  }

  /** A caller does not wait any more. */
  onGivenUp(request: LeaseRequest): void {
    const at = this.line.indexOf(request);
    if (at >= 0) this.line.splice(at, 1);
    if (this.placed.delete(request.id)) this.leaveLater(request.id);
    this.checkIdle();
  }

  private report(what: string, error: unknown): void {
    this.parts.log.warn(`A lease of ${this.of.what} could not be ${what}, it will expire: ${describeThrown(error)}`);
  }

  private planKeeping(): void {
    if (this.placed.size > 0) return this.timers.keep();
    this.timers.rest();
    this.watch.stopSoon();
  }

  private keep(): void {
    this.watch.start();
    if (this.keeping) return;
    this.keeping = true;
    this.background.run('kept in line', async () => {
      try {
        this.see(await this.parts.store.keepPlaces(this.of.stored, [...this.placed.keys()]));
      } finally {
        this.keeping = false;
      }
    });
  }

  private checkIdle(): void {
    const busy = this.line.length + this.placed.size + this.held.size + this.background.size + this.leaving;
    if (busy === 0 && !this.watch.running) this.onIdle();
  }
}
