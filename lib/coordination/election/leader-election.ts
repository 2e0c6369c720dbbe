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

/** What is done in a term. */
export interface TermListener {
  /** The term begins. What it returns is awaited before the office is handed over. */
  begin(lease: Lease): Promise<void>;
  /** The term has ended: `lease.signal` has aborted. */
  end(): Promise<void>;
}

/** The one key of an election. */
const OFFICE = 'leader';
/** Pause after standing for election has failed, which it does when the server is away for long. */
const RETRY_MS = 1_000;
const NOBODY: Leadership = { isLeader: false, lease: undefined };

/**
 * One of the processes that stand in an election of this name leads. Inject it with `@InjectLeaderElection(name)`, or get it
 * from `Coordination`; or decorate methods with `@OnLeader(name)`.
 *
 * A process stands from the application's start until its shutdown. The leader's term is a lease: it lasts while the
 * process lives and reaches the server, and has the guarantees of `Mutex`. So there may be no leader for a while,
 * and two processes may both believe to lead only if one of them does not look at `isLeader` or its lease's signal. What must
 * not happen then is guarded by `lease.fence`. At shutdown the leader hands over at once.
 */
export class LeaderElection {
  private readonly state = new BehaviorSubject<Leadership>(NOBODY);
  private readonly listeners = new Set<TermListener>();
  private readonly stopping = new AbortController();
  private term: { readonly lease: Lease; readonly resign: AbortController } | undefined;
  private campaign: Promise<void> | undefined;

  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly leases: LeaseSpace,
    private readonly ttlMs: number,
    private readonly log: Log,
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

  /** How it is now, and then every change, until the application stops. */
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
    this.stopping.abort();
    await this.campaign;
    await this.leases.close();
    this.state.complete();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.serve(await this.leases.acquire(OFFICE, false, { signal }));
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        this.log.warn(`LeaderElection "${this.name}": this process cannot stand for now: ${describeThrown(error)}`);
        await pause(RETRY_MS, signal);
      }
    }
  }

  private async serve(lease: Lease): Promise<void> {
    const resign = new AbortController();
    this.term = { lease, resign };
    this.state.next({ isLeader: true, lease });
    this.log.log(`LeaderElection "${this.name}": this process leads now (fencing token ${lease.fencingToken}).`);
    const { signal } = lease;
    const work = this.tell('begin', (listener) => listener.begin(lease));
    {
      using over = firstAbort([signal, resign.signal, this.stopping.signal]);
      if (!over.signal.aborted) await once(over.signal, 'abort');
    }
    this.leases.forfeit(lease, 'its holder resigned');
    this.term = undefined;
    this.state.next(NOBODY);
    this.log.log(`LeaderElection "${this.name}": this process does not lead any more.`);
    const done = Promise.all([work, this.tell('end', (listener) => listener.end())]);
    // Until then the lease keeps others from leading; after that, nothing does.
    const settled = new AbortController();
    void done.then(() => settled.abort());
    await pause(this.ttlMs, settled.signal);
    try {
      await lease.release();
    } finally {
      // The next term of this process does not begin before the last one has been settled.
      if (!this.stopping.signal.aborted) await done;
    }
  }

  /** Never rejects. */
  private async tell(what: string, call: (listener: TermListener) => Promise<void>): Promise<void> {
    const outcomes = await Promise.allSettled([...this.listeners].map(call));
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      this.log.error(`LeaderElection "${this.name}", ${what} of a term: ${describeThrown(outcome.reason)}`);
    }
  }
}

/** Resolves after `ms`, or when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
