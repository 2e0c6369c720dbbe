/** What the bench needs of redlock, whose own types its package does not lead to. */
declare module 'redlock' {
  interface RedlockSettings {
    readonly retryCount: number;
    readonly retryDelay: number;
    readonly retryJitter: number;
  }
  export default class Redlock {
    constructor(clients: Iterable<object>, settings: RedlockSettings);
    acquire(keys: string[], durationMs: number): Promise<{ release(): Promise<unknown> }>;
  }
}
