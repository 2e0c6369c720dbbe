import { describe, expect, it } from 'vitest';
import { PendingPublish } from '../../../lib/connection/pending-publish.js';
import { WaitingLine } from '../../../lib/connection/waiting-line.js';

function publish(token: number): PendingPublish {
  const ignore = (): void => undefined;
  return new PendingPublish(String(token), 's', new Uint8Array(), 'r', undefined, false, 1, ignore, ignore);
}

describe('WaitingLine', () => {
  it('serves first come first, over many more than it holds at a time', () => {
    const line = new WaitingLine();
    const served: string[] = [];
    let next = 0;
    for (let round = 0; round < 5_000; round++) {
      line.push(publish(next++));
      line.push(publish(next++));
      const first = line.shift();
      if (first !== undefined) served.push(first.token);
    }
    for (let rest = line.shift(); rest !== undefined; rest = line.shift()) served.push(rest.token);
    expect(served).toEqual(Array.from({ length: next }, (_, token) => String(token)));
    expect(line.size).toBe(0);
  });

  it('passes over those who left', () => {
    const line = new WaitingLine();
    const all = [0, 1, 2, 3, 4].map(publish);
    for (const one of all) line.push(one);
    for (const leaver of [all[0], all[2], all[4]]) {
      leaver!.settled = true;
      line.left();
    }
    expect(line.size).toBe(2);
    expect([...line.all()].map(({ token }) => token)).toEqual(['1', '3']);
    expect(line.shift()?.token).toBe('1');
    expect(line.shift()?.token).toBe('3');
    expect(line.shift()).toBeUndefined();
    line.push(publish(5));
    expect(line.shift()?.token).toBe('5');
  });
});
