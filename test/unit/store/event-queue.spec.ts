import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../../lib/store/engine/event-queue.js';

async function takeAll<T>(queue: EventQueue<T>): Promise<T[]> {
  queue.end();
  const all: T[] = [];
  for (let next = await queue.take(); next !== undefined; next = await queue.take()) all.push(next);
  return all;
}

describe('a queue that thins', () => {
  it('keeps the newest event of each key on either side of an event without one', async () => {
    const queue = new EventQueue<string>({ thins: true });
    for (let round = 0; round < 1_000; round++) queue.push(`k${round % 3}`, `before ${round}`);
    queue.push(undefined, 'mark');
    for (let round = 0; round < 10_000; round++) queue.push(`k${round % 2}`, `after ${round}`);
    const taken = await takeAll(queue);
    const mark = taken.indexOf('mark');
    expect(taken.slice(0, mark)).toEqual(['before 997', 'before 998', 'before 999']);
    const after = taken.slice(mark + 1);
    expect(after.slice(-2)).toEqual(['after 9998', 'after 9999']);
    expect(after.length).toBeLessThan(1_024);
  });

  it('is bounded by its keys, and by nothing else', async () => {
    const queue = new EventQueue<number>({ thins: true });
    for (let index = 0; index < 5_000; index++) queue.push(`k${index}`, index);
    expect(await takeAll(queue)).toHaveLength(5_000);
  });
});

describe('a queue that does not thin', () => {
  it('keeps everything, and has its producer wait until most of it is taken', async () => {
    const queue = new EventQueue<number>({ thins: false });
    for (let index = 0; index < 5_000; index++) queue.push('k', index);
    let isOpen = false;
    const opened = queue.room()?.then(() => (isOpen = true));
    for (let index = 0; index < 4_487; index++) expect(await queue.take()).toBe(index);
    expect(isOpen).toBe(false);
    expect(await queue.take()).toBe(4_487);
    await opened;
    expect(queue.room()).toBeUndefined();
    expect(await takeAll(queue)).toHaveLength(512);
  });

  it('lets its producer go at the end', async () => {
    for (const end of ['end', 'clear'] as const) {
      const queue = new EventQueue<number>({ thins: false });
      for (let index = 0; index < 1_024; index++) queue.push('k', index);
      const opened = queue.room();
      expect(opened).toBeInstanceOf(Promise);
      queue[end]();
      await opened;
    }
  });
});
