import { setTimeout as delay } from 'node:timers/promises';
import { toMilliseconds, type Duration } from '../common/duration.js';
import { ConfigurationError, FlowError, type FlowErrorOptions } from '../common/errors.js';

/** How long and for what {@link eventually} waits. */
export interface EventuallyOptions {
  /** What is waited for: names it when it does not come. */
  readonly what: string;
  /** @default '10s' */
  readonly timeout?: Duration;
  /** Pause between two looks. @default 10 ms */
  readonly interval?: Duration;
}

/** What a test waited for did not come in time; the message says what was there instead. */
export class WaitTimeoutError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('WAIT_TIMEOUT', message, options);
  }
}

/**
 * Looks again and again until `condition` gives something truthy, and returns that: one that only asserts returns `true`
 * at its end. A condition that throws, an assertion for example, has not come true yet; its last error is then the cause
 * of the failure. Never looks twice at one time.
 *
 * @throws ConfigurationError without `what`; WaitTimeoutError naming `what` and what was seen last, also when the
 * condition itself never comes back.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  options: EventuallyOptions,
): Promise<NonNullable<T>> {
  const { what, timeout = '10s', interval = 10 } = named(options);
  const timeoutMs = toMilliseconds(timeout);
  const intervalMs = toMilliseconds(interval);
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs);
  });
  let last: Look<T> | undefined;
  let isOver = false;
  try {
    while (!isOver) {
      const look = await Promise.race([lookAt(condition), deadline]);
      if (look === undefined) break;
      last = look;
      if ('value' in look && look.value) return look.value;
      isOver = await Promise.race([delay(intervalMs, false), deadline.then(() => true)]);
    }
  } finally {
    clearTimeout(timer);
  }
  throw new WaitTimeoutError(
    `Waited ${timeoutMs} ms in vain for ${what}: ${describe(last)}`,
    last !== undefined && 'error' in last ? { cause: last.error } : {},
  );
}

/** Without the compiler's help the name is easily left out. */
function named(options: Partial<EventuallyOptions> | undefined): EventuallyOptions {
  const { what = '' } = options ?? {};
  if (what !== '') return { ...options, what };
  throw new ConfigurationError('eventually()', [
    "it needs a name of what is waited for, to tell when it does not come: eventually(condition, { what: 'the order' }).",
  ]);
}

type Look<T> = { readonly value: T } | { readonly error: unknown };

async function lookAt<T>(condition: () => T | Promise<T>): Promise<Look<T>> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}

function describe(last: Look<unknown> | undefined): string {
  if (last === undefined) return 'the condition never came back';
  if ('error' in last) return `it last failed with ${String(last.error)}`;
  const hint = ' (a condition that only asserts returns true at its end)';
  return `it was last ${String(last.value)}${last.value === undefined ? hint : ''}`;
}
