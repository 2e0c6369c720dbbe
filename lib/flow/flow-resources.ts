import { describeThrown } from '../common/describe-thrown.js';
import type { Log } from '../common/log.js';
import type { FlowConnection } from '../connection/flow-connection.js';
import { endsWithin } from './flow-shutdown.js';

/** Something that lives with the connection and has to end before it. */
export interface Closable {
  close(): void | Promise<void>;
}

/** What stands on one connection: closed in one go, the connection last. */
export class FlowResources {
  private readonly users = new Set<Closable>();
  private readonly closables = new Set<Closable>();
  private readonly shared = new Map<object, Promise<Closable>>();
  private closing: Promise<void> | undefined;

  constructor(
    readonly connection: FlowConnection,
    private readonly log: Log,
  ) {}

  /** Has `closable` closed before the connection. */
  add(closable: Closable): void {
    this.closables.add(closable);
  }

  /** Has `user`, which works with what else stands here, closed before all of that. */
  addUser(user: Closable): void {
    this.users.add(user);
  }

  /** What belongs to `owner` on this connection: made by the first who asks, closed before the connection. */
  share<T extends Closable>(owner: object, make: () => Promise<T>): Promise<T> {
    let shared = this.shared.get(owner) as Promise<T> | undefined;
    if (shared === undefined) {
      shared = make().then((made) => {
        this.add(made);
        return made;
      });
      this.shared.set(owner, shared);
    }
    return shared;
  }

  /**
   * Closes everything; one that fails is logged and keeps nothing else open. Never rejects. May be called again.
   *
   * @param timeoutMs after which the connection is closed under what has not ended. @default no bound
   */
  close(timeoutMs = Infinity): Promise<void> {
    this.closing ??= this.closeAll(timeoutMs);
    return this.closing;
  }

  private async closeAll(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    const users = await endsWithin(end - performance.now(), this.closeEach(this.users));
    const closables = await endsWithin(end - performance.now(), this.closeEach(this.closables));
    if (!users || !closables) {
      this.log.error(
        'The time for the shutdown is over: the connection is closed under what still waits for the server.',
      );
    }
    await this.closeEach([{ close: () => this.connection.close(end - performance.now()) }]);
  }

  private async closeEach(closables: Iterable<Closable>): Promise<void> {
    const results = await Promise.allSettled(Array.from(closables, async (closable) => closable.close()));
    for (const result of results) {
      if (result.status === 'rejected') this.log.error(`Closing failed: ${describeThrown(result.reason)}`);
    }
  }
}
