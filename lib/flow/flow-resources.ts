import { describeThrown } from '../common/describe-thrown.js';
import type { Log } from '../common/log.js';
import type { FlowConnection } from '../connection/flow-connection.js';

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

  /** Closes everything; one that fails is logged and keeps nothing else open. Never rejects. May be called again. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    await this.closeEach(this.users);
    await this.closeEach(this.closables);
    await this.closeEach([this.connection]);
  }

  private async closeEach(closables: Iterable<Closable>): Promise<void> {
    const results = await Promise.allSettled(Array.from(closables, async (closable) => closable.close()));
    for (const result of results) {
      if (result.status === 'rejected') this.log.error(`Closing failed: ${describeThrown(result.reason)}`);
    }
  }
}
