import { expect, it, vi } from 'vitest';
import { BackgroundWork } from '../../../lib/coordination/lease/background-work.js';

it('tells once what a kind of work fails by, until it has succeeded', async () => {
  const onEnd = vi.fn();
  const report = vi.fn();
  const work = new BackgroundWork(onEnd, report);
  const run = async (what: string, outcome: Promise<void>): Promise<void> => {
    work.run(what, () => outcome);
    await work.ended();
  };
  const silence = new Error('the server does not answer');
  for (let repeat = 0; repeat < 3; repeat++) await run('kept in line', Promise.reject(silence));
  await run('given back', Promise.reject(silence));
  expect(report.mock.calls).toEqual([
    ['kept in line', silence],
    ['given back', silence],
  ]);
  await run('kept in line', Promise.resolve());
  await run('kept in line', Promise.reject(silence));
  expect(report).toHaveBeenCalledTimes(3);
  expect(onEnd).toHaveBeenCalledTimes(6);
});
