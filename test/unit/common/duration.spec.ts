import { describe, expect, it } from 'vitest';
import { toMilliseconds, toText, type Duration } from '../../../lib/common/duration.js';

describe('toMilliseconds', () => {
  it.each([
    [0, 0],
    [1.5, 1.5],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['2500', 2_500],
  ] as const)('reads %j', (duration, milliseconds) => {
    expect(toMilliseconds(duration)).toBe(milliseconds);
  });

  it.each([-1, Number.NaN, Infinity, '-5s', 'soon', '5 parsecs'])('refuses %j', (text) => {
    expect(() => toMilliseconds(text as Duration)).toThrow(RangeError);
  });
});

describe('toText', () => {
  it.each([
    [604_800_000, '7d'],
    [129_600_000, '36h'],
    [90_000, '90s'],
    [300_000, '5m'],
    [1_500, '1500ms'],
    [0, '0ms'],
  ])('writes %d as %s', (milliseconds, text) => {
    expect(toText(milliseconds)).toBe(text);
    expect(toMilliseconds(text as Duration)).toBe(milliseconds);
  });
});
