import { describe, expect, it } from 'vitest';
import { assertCrashCounted } from '../../../sample/01-flight-delays/demo/crash.js';

describe('the crash of the demo', () => {
  it('has shown something when it took messages with it in the middle of the work', () => {
    expect(() => assertCrashCounted({ flights: 2000, foldedBefore: 1033, redeliveries: 1 })).not.toThrow();
  });

  it('has shown nothing when the work was done', () => {
    const late = { flights: 2000, foldedBefore: 2000, redeliveries: 3 };
    expect(() => assertCrashCounted(late)).toThrow('killed when all 2000 flights were folded');
  });

  it('has shown nothing when the worker had nothing in hand', () => {
    const idle = { flights: 2000, foldedBefore: 1033, redeliveries: 0 };
    expect(() => assertCrashCounted(idle)).toThrow('killed after 1033 of 2000 flights with nothing in hand');
  });
});
