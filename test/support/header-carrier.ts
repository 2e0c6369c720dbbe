import type { HeaderCarrier } from '../../lib/telemetry/propagation.js';

/** Headers in a map, for tests without a connection. */
export class MapCarrier implements HeaderCarrier {
  readonly headers: Map<string, string>;

  constructor(headers: Record<string, string> = {}) {
    this.headers = new Map(Object.entries(headers));
  }

  get(name: string): string | undefined {
    return this.headers.get(name);
  }

  set(name: string, value: string): void {
    this.headers.set(name, value);
  }

  keys(): string[] {
    return [...this.headers.keys()];
  }
}
