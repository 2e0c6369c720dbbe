import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RunState, type Run } from '../../../../lib/codec/gen/flow/v1/run_pb.js';
import { toFailure } from '../../../../lib/flow/runs/failure.js';
import {
  cancel,
  deathOf,
  discardDead,
  enter,
  markDead,
  newRun,
  settle,
  settlementKey,
  START_ENTRY,
  unmarkDead,
} from '../../../../lib/flow/runs/run-record.js';

const FAILURE = toFailure(new Error('x'));
const start = (entries?: string[]): Run => newRun('orders', 'r', 0, {}, entries);
const done = (run: Run, key: string, delta = -1): boolean => settle(run, { key, delta }, 1);

describe('a run record', () => {
  it('completes when every message that was sent on has ended, whatever their order', () => {
    // A tree of messages: the number at each place leads to the message that sent it on.
    const tree = fc.array(fc.nat(), { maxLength: 30 }).map((parents) => {
      const children: number[][] = [[]];
      parents.forEach((parent, at) => {
        children[parent % (at + 1)]!.push(at + 1);
        children.push([]);
      });
      return children;
    });
    fc.assert(
      fc.property(tree, fc.infiniteStream(fc.nat()), (children, random) => {
        const pick = (bound: number): number => Number(random.next().value) % bound;
        const run = start();
        const open = [0];
        const ended: { key: string; delta: number }[] = [];
        while (open.length > 0) {
          expect(run).toMatchObject({ state: RunState.RUNNING, pending: open.length });
          const [message = 0] = open.splice(pick(open.length), 1);
          const settlement = { key: `step.${message}`, delta: children[message]!.length - 1 };
          settle(run, settlement, 1);
          ended.push(settlement);
          open.push(...children[message]!);
          // Any earlier message may be delivered once more at any time.
          const { pending } = run;
          settle(run, ended[pick(ended.length)]!, 2);
          expect(run.pending).toBe(pending);
        }
        expect(run).toMatchObject({ state: RunState.COMPLETED, pending: 0 });
      }),
    );
  });

  it('counts each entry once, and goes on when a further one comes after its end', () => {
    const run = start();
    done(run, 'a');
    expect(run.state).toBe(RunState.COMPLETED);
    expect(enter(run, [START_ENTRY])).toBe(false);
    expect(enter(run, ['phone'])).toBe(true);
    expect(run).toMatchObject({ state: RunState.RUNNING, pending: 1, finishedAt: undefined });
    expect(done(run, 'a')).toBe(false);
    expect(run.pending).toBe(1);
    done(run, 'phone');
    expect(run.state).toBe(RunState.COMPLETED);
    expect(start(['a', 'b']).pending).toBe(2);
  });

  it('stays failed while any message of it is dead, and completes when the last was redriven', () => {
    const run = start(['a', 'b']);
    const [a, b] = [deathOf('a', 'S', 1), deathOf('b', 'S', 2)];
    expect(markDead(run, 'a', a, FAILURE)).toBe(true);
    expect(markDead(run, 'a', a, FAILURE)).toBe(false);
    expect(markDead(run, 'b', b, FAILURE)).toBe(true);
    expect(unmarkDead(run, 'a', a, 1)).toBe(true);
    expect(run.state).toBe(RunState.FAILED);
    done(run, 'a');
    expect(run).toMatchObject({ state: RunState.FAILED, pending: 1 });
    expect(unmarkDead(run, 'b', b, 1)).toBe(true);
    expect(run).toMatchObject({ state: RunState.RUNNING, failure: undefined });
    done(run, 'b');
    expect(run.state).toBe(RunState.COMPLETED);
  });

  it('completes at once when the redriven message ended before the redrive was recorded', () => {
    const run = start();
    const death = deathOf('a', 'S', 1);
    markDead(run, 'a', death, FAILURE);
    done(run, 'a');
    expect(run).toMatchObject({ state: RunState.FAILED, pending: 0 });
    unmarkDead(run, 'a', death, 7);
    expect(run).toMatchObject({ state: RunState.COMPLETED, failure: undefined });
  });

  it('stays failed when the redriven message died before the redrive was recorded', () => {
    const run = start();
    const [first, second] = [deathOf('a', 'S', 1), deathOf('a', 'S', 9)];
    markDead(run, 'a', first, FAILURE);
    markDead(run, 'a', second, FAILURE);
    unmarkDead(run, 'a', first, 1);
    expect(run).toMatchObject({ state: RunState.FAILED, dead: [second] });
    expect(unmarkDead(run, 'a', first, 1)).toBe(false);
  });

  it('forgets earlier deaths of a message with its last one, when their redrive was never recorded', () => {
    const run = start();
    markDead(run, 'a', deathOf('a', 'S', 1), FAILURE);
    markDead(run, 'a', deathOf('a', 'S', 9), FAILURE);
    unmarkDead(run, 'a', deathOf('a', 'S', 9), 1);
    expect(run).toMatchObject({ state: RunState.RUNNING, dead: [] });
  });

  it('never completes once a message was discarded', () => {
    const run = start(['a', 'b']);
    const [a, b] = [deathOf('a', 'S', 1), deathOf('b', 'S', 2)];
    markDead(run, 'a', a, FAILURE);
    markDead(run, 'b', b, FAILURE);
    expect(discardDead(run, 'a', a, FAILURE)).toBe(true);
    expect(discardDead(run, 'a', a, FAILURE)).toBe(false);
    expect(run.pending).toBe(1);
    unmarkDead(run, 'b', b, 1);
    done(run, 'b');
    expect(run).toMatchObject({ state: RunState.FAILED, pending: 0 });
  });

  it('does not fail by a death that is recorded after its message was redriven', () => {
    const run = start();
    const [first, second] = [deathOf('a', 'S', 1), deathOf('a', 'S', 9)];
    expect(unmarkDead(run, 'a', first, 1)).toBe(true);
    expect(unmarkDead(run, 'a', first, 1)).toBe(false);
    expect(markDead(run, 'a', first, FAILURE)).toBe(false);
    expect(run).toMatchObject({ state: RunState.RUNNING, dead: [] });
    expect(markDead(run, 'a', second, FAILURE)).toBe(true);
    expect(unmarkDead(run, 'a', second, 1)).toBe(true);
    expect(markDead(run, 'a', second, FAILURE)).toBe(false);
    expect(run).toMatchObject({ state: RunState.RUNNING, dead: [], redriven: [second] });
    done(run, 'a');
    expect(run).toMatchObject({ state: RunState.COMPLETED, pending: 0 });
  });

  it('is failed by a message that was discarded before its death is recorded', () => {
    const run = start(['a', 'b']);
    const death = deathOf('a', 'S', 1);
    expect(discardDead(run, 'a', death, FAILURE)).toBe(true);
    expect(markDead(run, 'a', death, FAILURE)).toBe(false);
    done(run, 'b');
    expect(run).toMatchObject({ state: RunState.FAILED, pending: 0, dead: [death], failure: FAILURE });
  });

  it('changes no more once it was cancelled', () => {
    const run = start();
    markDead(run, 'a', deathOf('a', 'S', 1), FAILURE);
    expect(cancel(run, FAILURE, 1)).toBe(true);
    expect(cancel(run, FAILURE, 1)).toBe(false);
    expect(done(run, 'b')).toBe(false);
    expect(enter(run, ['phone'])).toBe(false);
    expect(markDead(run, 'b', deathOf('b', 'S', 2), FAILURE)).toBe(false);
    expect(unmarkDead(run, 'a', deathOf('a', 'S', 1), 1)).toBe(false);
    expect(run.state).toBe(RunState.CANCELLED);
  });

  it('does not fail, nor is cancelled, after its end', () => {
    const run = start();
    done(run, 'a');
    expect(markDead(run, 'a', deathOf('a', 'S', 1), FAILURE)).toBe(false);
    expect(cancel(run, FAILURE, 1)).toBe(false);
    expect(run.state).toBe(RunState.COMPLETED);
  });

  it('keeps the output of the leaf that ended last', () => {
    const run = start(['a', 'b', 'c']);
    const output = (text: string) => ({ data: Buffer.from(text), contentType: 'application/json' });
    settle(run, { key: 'a', delta: -1, output: output('1') }, 1);
    settle(run, { key: 'b', delta: -1, output: output('2') }, 1);
    settle(run, { key: 'c', delta: -1 }, 1);
    settle(run, { key: 'a', delta: -1, output: output('1') }, 1);
    expect(Buffer.from(run.output).toString()).toBe('2');
  });

  it('names a message by step and index', () => {
    expect([settlementKey('a', ''), settlementKey('a', 'b.c')]).toEqual(['a', 'a.b.c']);
  });
});
