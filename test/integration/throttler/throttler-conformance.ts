import type { ThrottlerStorage } from '@nestjs/throttler';
import { describe, expect, it } from 'vitest';

/** Two instances of a storage, and their time. */
export interface OpenStorages extends AsyncDisposable {
  readonly one: ThrottlerStorage;
  readonly other: ThrottlerStorage;
  /** Has so many milliseconds pass for both. */
  pass(ms: number): void;
}

/** What is known of a storage. */
export interface StorageTraits {
  readonly open: () => Promise<OpenStorages>;
  /** How many of a flood against a limit of 10 it lets through when two instances are asked at once. */
  readonly ofFlood: number;
}

const TTL = 10_000;

/** What `@nestjs/throttler` asks of a storage. */
export function throttlerConformance(name: string, { open, ofFlood }: StorageTraits): void {
  describe(`${name} as a storage of @nestjs/throttler`, () => {
    it('counts the hits of each key for itself, and of each throttler', async () => {
      await using at = await open();
      const hit = async (key: string, throttler = 'test'): Promise<number> =>
        (await at.one.increment(key, TTL, 5, 0, throttler)).totalHits;
      expect([await hit('a'), await hit('a'), await hit('b'), await hit('a'), await hit('b')]).toEqual([1, 2, 1, 3, 2]);
      expect(await hit('a', 'another')).toBe(1);
    });

    it('tells a hit within the limit when everything expires, and that nothing is blocked', async () => {
      await using at = await open();
      await at.one.increment('k', TTL, 5, 0, 'test');
      at.pass(2_000);
      const record = await at.one.increment('k', TTL, 5, 0, 'test');
      expect(record).toEqual({ totalHits: 2, timeToExpire: 8, isBlocked: false, timeToBlockExpire: 0 });
    });

    it('blocks one key and not the other, and lets each go by itself', async () => {
      await using at = await open();
      const isBlocked = async (key: string): Promise<boolean> =>
        (await at.one.increment(key, TTL, 2, 20_000, 'test')).isBlocked;
      expect([await isBlocked('a'), await isBlocked('a'), await isBlocked('a')]).toEqual([false, false, true]);
      expect(await isBlocked('b')).toBe(false);
      at.pass(5_000);
      expect([await isBlocked('b'), await isBlocked('b')]).toEqual([false, true]);
      at.pass(15_001);
      expect([await isBlocked('a'), await isBlocked('b')]).toEqual([false, true]);
      at.pass(5_000);
      expect(await isBlocked('b')).toBe(false);
    });

    it('blocks for as long as it is told to, however often it is asked, and begins anew then', async () => {
      await using at = await open();
      const hit = () => at.one.increment('k', TTL, 1, 30_000, 'test');
      await hit();
      const left: number[] = [(await hit()).timeToBlockExpire];
      for (let index = 0; index < 3; index++) {
        at.pass(8_000);
        left.push((await hit()).timeToBlockExpire);
      }
      expect(left).toEqual([30, 22, 14, 6]);
      at.pass(6_001);
      expect(await hit()).toMatchObject({ totalHits: 1, isBlocked: false });
      expect(await hit()).toMatchObject({ totalHits: 2, isBlocked: true, timeToBlockExpire: 30 });
    });

    it('is blocked only for those hits that say how long to block', async () => {
      await using at = await open();
      const hit = (limit: number, blockMs: number) => at.one.increment('k', TTL, limit, blockMs, 'test');
      await hit(1, 8_000);
      expect(await hit(1, 8_000)).toMatchObject({ totalHits: 2, isBlocked: true, timeToBlockExpire: 8 });
      // It does not ask for the block, and does not lift it.
      at.pass(1_000);
      expect(await hit(5, 0)).toEqual({ totalHits: 3, timeToExpire: 9, isBlocked: false, timeToBlockExpire: 0 });
      expect(await hit(3, 0)).toEqual({ totalHits: 4, timeToExpire: 9, isBlocked: true, timeToBlockExpire: 9 });
      expect(await hit(1, 8_000)).toMatchObject({ totalHits: 3, isBlocked: true, timeToBlockExpire: 7 });
      // When the block is over, everything begins anew, also for those who did not ask for it.
      at.pass(7_001);
      expect(await hit(3, 0)).toMatchObject({ totalHits: 4, isBlocked: true });
      expect(await hit(1, 8_000)).toMatchObject({ totalHits: 1, isBlocked: false });
      expect(await hit(3, 0)).toMatchObject({ totalHits: 2, isBlocked: false });
    });

    it('tells, while it is blocked, of the hits that have not expired, and of a window that goes on', async () => {
      await using at = await open();
      const hit = () => at.one.increment('k', TTL, 2, 30_000, 'test');
      await hit();
      at.pass(6_000);
      await hit();
      expect(await hit()).toEqual({ totalHits: 3, timeToExpire: 4, isBlocked: true, timeToBlockExpire: 30 });
      at.pass(5_000);
      expect(await hit()).toEqual({ totalHits: 2, timeToExpire: 10, isBlocked: true, timeToBlockExpire: 25 });
      at.pass(3_000);
      expect(await hit()).toEqual({ totalHits: 2, timeToExpire: 7, isBlocked: true, timeToBlockExpire: 22 });
      at.pass(3_000);
      expect(await hit()).toEqual({ totalHits: 0, timeToExpire: 4, isBlocked: true, timeToBlockExpire: 19 });
    });

    it('without a block lets one through for each hit that has expired, the oldest first', async () => {
      await using at = await open();
      const hit = () => at.one.increment('k', TTL, 2, 0, 'test');
      await hit();
      at.pass(4_000);
      await hit();
      at.pass(1_000);
      expect(await hit()).toMatchObject({ totalHits: 3, isBlocked: true, timeToBlockExpire: 5 });
      at.pass(5_001);
      expect(await hit()).toMatchObject({ totalHits: 2, isBlocked: false });
      expect(await hit()).toMatchObject({ isBlocked: true, timeToBlockExpire: 4 });
      at.pass(3_999);
      expect(await hit()).toMatchObject({ totalHits: 2, isBlocked: false });
    });

    it.each([0, TTL])('lets nothing through a limit of 0, with a block of %s ms', async (blockMs) => {
      await using at = await open();
      for (let index = 0; index < 3; index++) {
        const record = await at.one.increment('k', TTL, 0, blockMs, 'test');
        expect(record).toMatchObject({ isBlocked: true, totalHits: 1, timeToBlockExpire: 10 });
      }
    });

    it.each([0, TTL])(`lets ${ofFlood} of a flood through, with a block of %s ms`, async (blockMs) => {
      await using at = await open();
      const records = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          (index % 2 === 0 ? at.one : at.other).increment('flood', TTL, 10, blockMs, 'test'),
        ),
      );
      expect(records.filter(({ isBlocked }) => !isBlocked)).toHaveLength(ofFlood);
    });
  });
}
