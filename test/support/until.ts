import { eventually } from 'nestjs-jetstream-flow/testing';

/** How long and for what {@link until} waits. */
export interface UntilOptions {
  /** What is waited for, to name it when it does not come. */
  readonly what: string;
  /** @default 10_000 */
  readonly timeoutMs?: number;
  /** Pause between two looks. @default 10 */
  readonly intervalMs?: number;
}

/** The library's own {@link eventually}, in milliseconds. */
export function until<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs, intervalMs }: UntilOptions,
): Promise<NonNullable<T>> {
  return eventually(condition, { what, timeout: timeoutMs, interval: intervalMs });
}
