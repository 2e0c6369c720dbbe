import { once } from 'node:events';
import { BehaviorSubject, type Observable } from 'rxjs';
import { describeThrown } from '../../common/describe-thrown.js';
import type { Log } from '../../common/log.js';
import { firstAbort } from '../first-abort.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseSpace } from '../lease/lease-space.js';

/** Whether this process leads; with the lease of its term when it does. */
export type Leadership =
  { readonly isLeader: true; readonly lease: Lease } | { readonly isLeader: false; readonly lease: undefined };

/** What is done in a term. It says itself what it fails by. */
export interface TermListener {
  /** The term begins. What it returns is awaited before the office is handed over; when it rejects, the term ends. */
  begin(lease: Lease): Promise<void>;
  /** The term has ended: `lease.signal` has aborted. */
  end(): Promise<void>;
}

/** The one key of an election. */
const OFFICE = 'leader';
/** Pause after standing for election has failed, which it does when the server is away for long. */
const RETRY_MS = 1_000;
/** Who has stood for longer before that failed did so in line, and not for want of an answer of the server. */
const STOOD_MS = 60_000;
/** Pause after a term that has failed; doubled with each one that follows and fails sooner than the longest pause. */
const FAILED_MS = 1_000;
const LONGEST_FAILED_MS = 60_000;
const NOBODY: Leadership = { isLeader: false, lease: undefined };

/**
 * One of the processes that stand in an election of this name leads. Inject it with `@InjectLeaderElection(name)`, or get it
 * from `Coordination`; or decorate methods with `@OnLeader(name)`.
 *
 * A process stands from the application's start until its shutdown. The leader's term is a lease: it lasts while the
 * process lives and reaches the server, and has the guarantees of `Mutex`. So there may be no leader for a while,
 * and two processes may both believe to lead only if one of them does not look at `isLeader` or its lease's signal. What must
 * not happen then is guarded by `lease.fence`. At shutdown the leader hands over at once.
 *
 * A term in which a method with `@OnLeader` throws is over: others lead next, and this process stands again after a pause of
 * 1 second, twice as long after each further term that fails, up to a minute.
 */
export class LeaderElection {
  private readonly state = new BehaviorSubject<Leadership>(NOBODY);
  private readonly listeners = new Set<TermListener>();
  private readonly closing = new AbortController();
  /** Terms in a row that have failed. */
  private failures = 0;
  private term: { readonly lease: Lease; readonly resign: AbortController } | undefined;
  private campaign: Promise<void> | undefined;

  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly leases: LeaseSpace,
    private readonly ttlMs: number,
    private readonly log: Log,
    /** Aborts when the application stops: who leads then does until {@link close}, nobody stands any more. */
    private readonly stopping: AbortSignal,
  ) {}

  /** Whether this process leads now. Asking compares the clock, also after the process was stopped. */
  get isLeader(): boolean {
    return this.lease !== undefined;
  }

  /** The lease of this process's term, with its fencing token; `undefined` when it does not lead. */
  get lease(): Lease | undefined {
    const { lease } = this.term ?? {};
    return lease?.signal.aborted === false ? lease : undefined;
  }

  /**
   * How it is now, and then every change. Completes when the application stops and this process does not lead, or not any
   * more.
   */
  observe(): Observable<Leadership> {
    return this.state.asObservable();
  }

  /** @internal Has `listener` told of the terms that begin from now on. */
  listen(listener: TermListener): void {
    this.listeners.add(listener);
  }

  /** Stands for election, from now on. Called by the module at the application's start; calling it again does nothing. */
  stand(): void {
    this.campaign ??= this.run();
  }

  /** Ends this process's term, and has it stand again, behind the others. Does nothing when it does not lead. */
  resign(): void {
    this.term?.resign.abort();
  }

  /** Resolves when the server has the election's bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.leases.ready();
  }

  /** Stands no more. A leader's term ends at once: when its methods have ended too, or its time is over, another one leads. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.campaign;
    await this.leases.close();
    this.state.complete();
  }

  private isOver(): boolean {
    return this.closing.signal.aborted || this.stopping.aborted;
  }

  private async run(): Promise<void> {
    let warned = false;
    while (!this.isOver()) {
      const since = performance.now();
      try {
        const lease = await this.leases.acquireSometime(OFFICE, this.closing.signal);
        warned = false;
        await this.serve(lease);
      } catch (error) {
        if (this.isOver()) break;
        if (!warned || performance.now() - since > STOOD_MS)
          this.log.warn(`LeaderElection "${this.name}": this process cannot stand for now: ${describeThrown(error)}`);
        warned = true;
        await this.pause(RETRY_MS);
      }
    }
    this.state.complete();
  }

  private async serve(lease: Lease): Promise<void> {
    const resign = new AbortController();
    this.term = { lease, resign };
    this.state.next({ isLeader: true, lease });
    this.log.log(`LeaderElection "${this.name}": this process leads now (fencing token ${lease.fencingToken}).`);
    const { signal } = lease;
    const began = performance.now();
    let failedAfterMs: number | undefined;
    const fail = (error: unknown): void => {
      // What ends with the term may well say so by throwing.
      if (signal.aborted) return;
      failedAfterMs = performance.now() - began;
      resign.abort(error);
    };
    const work = this.tell((listener) => listener.begin(lease).catch(fail));
    {
      using over = firstAbort([signal, resign.signal, this.closing.signal]);
      if (!over.signal.aborted) await once(over.signal, 'abort');
    }
    this.leases.forfeit(lease, 'its holder resigned');
    this.term = undefined;
    this.state.next(NOBODY);
    if (this.isOver()) this.state.complete();
    this.log.log(`LeaderElection "${this.name}": this process does not lead any more.`);
    const done = Promise.all([work, this.tell((listener) => listener.end())]);
    // Until then the lease keeps others from leading; after that, nothing does.
    const settled = new AbortController();
    void done.then(() => settled.abort());
    await pause(this.ttlMs, settled.signal);
    try {
      await lease.release();
    } finally {
      // The next term of this process does not begin before the last one has been settled.
      if (!this.closing.signal.aborted) await done;
    }
    await this.recover(failedAfterMs);
  }

  /** A pause after a term that failed, in which others may do better. */
  private async recover(failedAfterMs: number | undefined): Promise<void> {
    if (failedAfterMs === undefined || failedAfterMs > LONGEST_FAILED_MS) this.failures = 0;
    if (failedAfterMs === undefined || this.isOver()) return;
    const ms = Math.min(FAILED_MS * 2 ** this.failures, LONGEST_FAILED_MS);
    this.failures += 1;
    this.log.warn(`LeaderElection "${this.name}": the term has failed; this process stands again in ${ms / 1_000} s.`);
    await this.pause(ms);
  }

  private async pause(ms: number): Promise<void> {
    using over = firstAbort([this.closing.signal, this.stopping]);
    await pause(ms, over.signal);
  }

  /** Never rejects. */
  private async tell(call: (listener: TermListener) => Promise<void>): Promise<void> {
    await Promise.allSettled([...this.listeners].map(call));
  }
}

/** Resolves after `ms`, or when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
