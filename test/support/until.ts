import { setTimeout as delay } from 'node:timers/promises';

/** How long and for what {@link until} waits. */
export interface UntilOptions {
  /** What is waited for, to name it when it does not come. */
  readonly what: string;
  /** @default 10_000 */
  readonly timeoutMs?: number;
  /** Pause between two looks. @default 10 */
  readonly intervalMs?: number;
}

/**
 * Looks again and again until `condition` gives something truthy, and returns that. A condition that
 * throws has not come true; its last error is the cause of the failure.
 *
 * @throws Error naming `what` when the deadline passes.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 10_000, intervalMs = 10 }: UntilOptions,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  let last: { value: unknown } | { error: unknown };
  do {
    try {
      const value = await condition();
      if (value) return value;
      last = { value };
    } catch (error) {
      last = { error };
    }
    await delay(intervalMs);
  } while (Date.now() < deadline);
  const seen = 'error' in last ? `it last failed with ${String(last.error)}` : `it was last ${String(last.value)}`;
  throw new Error(`Waited ${timeoutMs} ms in vain for ${what}: ${seen}`, 'error' in last ? { cause: last.error } : {});
}
