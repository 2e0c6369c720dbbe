import type { WatchEvent } from 'nestjs-jetstream-flow';

/** Counts the flights in state objects while these change. */
export class FoldedFlights {
  private readonly byKey = new Map<string, number>();
  private sum = 0;

  /** Flights in all objects, as far as the watch has told. */
  get total(): number {
    return this.sum;
  }

  /** Follows a watch until it ends. */
  async follow(events: AsyncIterable<WatchEvent<{ readonly flights: number }>>): Promise<void> {
    for await (const event of events) {
      if (event.type === 'undecodable') throw event.error;
      if (event.type !== 'value') continue;
      const { key, state } = event;
      this.sum += state.flights - (this.byKey.get(key.text) ?? 0);
      this.byKey.set(key.text, state.flights);
    }
  }
}
