import { hash } from 'node:crypto';
import { ConfigurationError, DecodeError } from '../../common/errors.js';

/** Bytes of one hash. A false match would drop an update: at 1,024 remembered keys its odds are 6e-17. */
const HASH_BYTES = 8;

/** How long and how many idempotency keys an entry remembers. */
export interface RememberLimits {
  readonly count: number;
  readonly ageMs: number;
}

/** The hash under which an idempotency key is remembered. @throws ConfigurationError when the key is empty. */
export function hashIdempotencyKey(key: string): Buffer {
  if (key === '')
    throw new ConfigurationError('idempotencyKey', [
      'it is empty, and names nothing: every operation with it would be taken for the same one. Leave it out, or give it a name',
    ]);
  return hash('sha256', key, 'buffer').subarray(0, HASH_BYTES);
}

/** A number of hashes added at about the same time. */
interface Run {
  readonly second: number;
  readonly count: number;
}

/** Seconds that a run is as wide as, a 32nd of the age: their number stays small, and keys are forgotten late rather than early. */
function widthOf(ageMs: number): number {
  return ageMs / 1000 / 32;
}

function secondOf(now: number = Date.now()): number {
  return Math.floor(now / 1000);
}

function isForgotten(run: Run, second: number, ageMs: number): boolean {
  return run.second + widthOf(ageMs) < second - ageMs / 1000;
}

/**
 * The idempotency keys that an entry remembers as applied, oldest first: their hashes, and beside them when they
 * were added, in runs. Unchangeable: adding makes a new one, so a commit that loses leaves nothing behind.
 */
export class AppliedKeys {
  static readonly NONE = new AppliedKeys(Buffer.alloc(0), []);

  private constructor(
    private readonly hashes: Buffer,
    private readonly runs: readonly Run[],
  ) {}

  /**
   * @param hashes the header of hashes in base64
   * @param times the header of runs, `<second>x<count>` separated by commas
   * @throws DecodeError when the two are not what {@link toHeaders} wrote.
   */
  static parse(hashes: string, times: string): AppliedKeys {
    if (hashes === '') return AppliedKeys.NONE;
    const bytes = ownCopy(Buffer.from(hashes, 'base64'));
    const runs = times.split(',').map((run) => {
      const [second = '', count = ''] = run.split('x');
      return { second: Number(second), count: Number(count) };
    });
    const total = runs.reduce((sum, run) => sum + run.count, 0);
    if (total * HASH_BYTES !== bytes.length) {
      throw new DecodeError(
        `The remembered idempotency keys are damaged: ${bytes.length} bytes of hashes, ${total} counted`,
      );
    }
    return new AppliedKeys(bytes, runs);
  }

  get size(): number {
    return this.hashes.length / HASH_BYTES;
  }

  /** Bytes of memory held, about. */
  get bytes(): number {
    return this.hashes.length + this.runs.length * 32;
  }

  /**
   * Whether the hash was added no longer ago than `ageMs`, however quiet the entry has been since. When it was added says the
   * clock of the process that added it, and how long ago that is the clock of this one (`now`, milliseconds): a key is
   * remembered for longer or shorter by as much as the two differ, and for up to a 32nd of the age longer in any case.
   */
  has(wanted: Buffer, ageMs: number, now?: number): boolean {
    // The latest that was added first: a key that was forgotten may have been added again.
    let at = this.hashes.lastIndexOf(wanted);
    while (at > 0 && at % HASH_BYTES !== 0) at = this.hashes.lastIndexOf(wanted, at - 1);
    return at !== -1 && !isForgotten(this.runOf(at / HASH_BYTES), secondOf(now), ageMs);
  }

  /** The run that has the hash at that place. */
  private runOf(place: number): Run {
    let end = this.size;
    for (let index = this.runs.length - 1; index > 0; index--) {
      const run = this.runs[index] as Run;
      end -= run.count;
      if (place >= end) return run;
    }
    return this.runs[0] as Run;
  }

  /** These and `added`, without those that are beyond `limits` at `now` (milliseconds, by default the present). */
  with(added: readonly Buffer[], limits: RememberLimits, now?: number): AppliedKeys {
    if (this.size === 0 && added.length === 0) return this;
    const second = secondOf(now);
    const runs = [...this.runs];
    const last = runs.at(-1);
    if (added.length > 0) {
      if (last !== undefined && second - last.second < widthOf(limits.ageMs)) {
        runs[runs.length - 1] = { second: last.second, count: last.count + added.length };
      } else {
        runs.push({ second, count: added.length });
      }
    }
    let drop = 0;
    while (runs[0] !== undefined && isForgotten(runs[0], second, limits.ageMs)) drop += runs.shift()?.count ?? 0;
    let excess = this.size + added.length - drop - limits.count;
    while (excess > 0) {
      const first = runs[0];
      if (first === undefined) break;
      const taken = Math.min(excess, first.count);
      if (taken === first.count) runs.shift();
      else runs[0] = { second: first.second, count: first.count - taken };
      drop += taken;
      excess -= taken;
    }
    if (drop === 0 && added.length === 0) return this;
    return new AppliedKeys(ownCopy(Buffer.concat([this.hashes, ...added]).subarray(drop * HASH_BYTES)), runs);
  }

  /** The two header values, empty when nothing is remembered. */
  toHeaders(): { hashes: string; times: string } {
    return {
      hashes: this.hashes.toString('base64'),
      times: this.runs.map((run) => `${run.second}x${run.count}`).join(','),
    };
  }
}

/** Small buffers are cut from blocks of 8 KB that many share: a few bytes that are kept would hold all of their block. */
function ownCopy(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}
