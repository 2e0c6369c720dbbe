import { setImmediate } from 'node:timers';
import { describe, expect, it } from 'vitest';
import { currentLogFields, runWithLogFields, type LogFields } from '../../../lib/telemetry/log-context.js';

const fields = (runId: string): LogFields => ({ flow: 'orders', step: 'price', runId, attempt: 1 });

describe('log context', () => {
  it('is empty outside of a step', () => {
    expect(currentLogFields()).toBeUndefined();
  });

  it('gives back what the function gives back, and is over after it', () => {
    expect(runWithLogFields(fields('1'), () => currentLogFields()?.runId)).toBe('1');
    expect(currentLogFields()).toBeUndefined();
  });

  it('is over after a function that throws', () => {
    expect(() =>
      runWithLogFields(fields('1'), () => {
        throw new Error('boom');
      }),
    ).toThrow('boom');
    expect(currentLogFields()).toBeUndefined();
  });

  it('stays with each of several call chains that run at once', async () => {
    const chain = (runId: string): Promise<(string | undefined)[]> =>
      runWithLogFields(fields(runId), async () => {
        const seen = [currentLogFields()?.runId];
        for (let turn = 0; turn < 5; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
          seen.push(currentLogFields()?.runId);
        }
        return seen;
      });
    const runIds = Array.from({ length: 20 }, (_, index) => String(index));
    const seen = await Promise.all(runIds.map(chain));
    expect(seen).toEqual(runIds.map((runId) => Array.from({ length: 6 }, () => runId)));
  });
});
