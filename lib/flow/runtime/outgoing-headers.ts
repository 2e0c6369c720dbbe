import type { HeaderCarrier } from '../../telemetry/propagation.js';

/** Headers of a message to send: few, so a list is the fastest form. Carries a trace and goes to the publisher as it is. */
export class OutgoingHeaders implements HeaderCarrier, Iterable<readonly [string, string]> {
  private readonly fields: [string, string][] = [];

  get(name: string): string | undefined {
    return this.fields.find(([known]) => known === name)?.[1];
  }

  set(name: string, value: string): void {
    const known = this.fields.find((field) => field[0] === name);
    if (known === undefined) this.fields.push([name, value]);
    else known[1] = value;
  }

  /** A further value, also of a name that is there. */
  add(name: string, value: string): void {
    this.fields.push([name, value]);
  }

  keys(): string[] {
    return this.fields.map(([name]) => name);
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.fields[Symbol.iterator]();
  }
}
