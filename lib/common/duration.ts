import ms from 'ms';

/** A span of time: a number of milliseconds, or text such as `'250ms'`, `'30s'`, `'5m'`, `'24h'`, `'7d'`. */
export type Duration = number | ms.StringValue;

/**
 * Milliseconds of a {@link Duration}.
 *
 * @throws RangeError when the text is not a duration, or the span is negative or not finite.
 */
export function toMilliseconds(duration: Duration): number {
  const value = typeof duration === 'number' ? duration : ms(duration);
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new RangeError(`"${duration}" is not a duration; use milliseconds or text such as "30s", "5m", "24h".`);
  }
  return value;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** Milliseconds as text in the largest unit that they are a whole number of: `7d`, `36h`, `1500ms`. */
export function toText(milliseconds: number): string {
  const [unit, length] = UNITS.find(([, size]) => milliseconds >= size && milliseconds % size === 0) ?? ['ms', 1];
  return `${milliseconds / length}${unit}`;
}
