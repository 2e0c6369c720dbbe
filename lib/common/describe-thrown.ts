import { inspect } from 'node:util';

/** What was thrown, as one text for people. Anything can be thrown: this never throws itself. */
export function describeThrown(thrown: unknown): string {
  return thrown instanceof Error
    ? `${textOf(() => thrown.name)}: ${textOf(() => thrown.message)}`
    : textOf(() => thrown);
}

/** What `read` gives, as a text; a getter that throws gives a text that says so. */
export function textOf(read: () => unknown): string {
  try {
    const value = read();
    return typeof value === 'string' ? value : inspect(value, { depth: 2, breakLength: Infinity });
  } catch {
    // Whatever else is wrong with the value: it is shown in place of its text that there is none.
    return '(cannot be shown as text)';
  }
}
