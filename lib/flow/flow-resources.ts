import type { Log } from '../common/log.js';
import type { FlowConnection } from '../connection/flow-connection.js';

/** Something that lives with the connection and has to end before it. */
export interface Closable {
  close(): void | Promise<void>;
}

/** What stands on one connection: closed in one go, the connection last. */
export class FlowResources {
  private readonly closables = new Set<Closable>();
  private closing: Promise<void> | undefined;

  constructor(
    private readonly connection: FlowConnection,
    private readonly log: Log,
  ) {}

  /** Has `closable` closed before the connection. */
  add(closable: Closable): void {
    this.closables.add(closable);
  }

  /** Closes everything; one that fails is logged and keeps nothing else open. May be called again. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    const results = await Promise.allSettled([...this.closables].map(async (closable) => closable.close()));
    for (const result of results) {
      if (result.status === 'rejected') this.log.error(`Closing failed: ${String(result.reason)}`);
    }
    await this.connection.close();
  }
}
