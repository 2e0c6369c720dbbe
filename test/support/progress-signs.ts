import type { TestStreams } from './jetstream-client.js';

/** Counts the signs of life that messages of a stream get from who holds them, as they pass on the wire. */
export class ProgressSigns implements Disposable {
  /** By the subject that a delivery is acknowledged on. */
  private readonly counts = new Map<string, number>();
  private readonly subscription;

  private constructor({ nats }: TestStreams, stream: string) {
    this.subscription = nats.subscribe('$JS.ACK.>', {
      callback: (_error, message) => {
        const { subject } = message;
        if (!subject.includes(`.${stream}.`) || message.string() !== '+WPI') return;
        this.counts.set(subject, (this.counts.get(subject) ?? 0) + 1);
      },
    });
  }

  /** Resolves when the server knows that they are counted. */
  static async of(streams: TestStreams, stream: string): Promise<ProgressSigns> {
    const signs = new ProgressSigns(streams, stream);
    await streams.nats.flush();
    return signs;
  }

  /** How many each of so many deliveries has had at least. */
  ofEach(deliveries: number): number {
    return [...this.counts.values()].toSorted((a, b) => b - a)[deliveries - 1] ?? 0;
  }

  [Symbol.dispose](): void {
    this.subscription.unsubscribe();
  }
}
