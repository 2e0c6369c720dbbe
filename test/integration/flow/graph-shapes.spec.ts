import { describe, expect, it } from 'vitest';
import { Flow, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

interface Text {
  text: string;
}
const TextSchema = json<Text>('Text');

/** Notes every call as `<step>` or `<step>@<index>`. */
class Recorder {
  readonly calls: string[] = [];

  protected note(input: Text, ctx: FlowContext): Text {
    this.calls.push(ctx.index === '' ? ctx.step : `${ctx.step}@${ctx.index}`);
    const { text } = input;
    return { text: text === '' ? ctx.step : `${text}>${ctx.step}` };
  }

  /** Sorted, because the order of branches is not fixed. */
  get sorted(): string[] {
    return this.calls.toSorted();
  }
}

const Filtering = flow('filtering', { input: TextSchema, output: TextSchema });

@Flow(Filtering)
class FilteringFlow extends Recorder {
  @FlowStep({})
  first(input: Text, ctx: FlowContext): Text | undefined {
    const result = this.note(input, ctx);
    return input.text === 'stop-first' ? undefined : result;
  }
  @FlowStep({ after: 'first' })
  second(input: Text, ctx: FlowContext): Text | undefined {
    const result = this.note(input, ctx);
    return input.text.startsWith('stop-second') ? undefined : result;
  }
  @FlowStep({ after: 'second' })
  third(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
}

const Broadcasting = flow('broadcasting', { input: TextSchema, output: TextSchema });

@Flow(Broadcasting)
class BroadcastingFlow extends Recorder {
  @FlowStep({})
  source(input: Text, ctx: FlowContext): Text | undefined {
    const result = this.note(input, ctx);
    return input.text === 'nothing' ? undefined : result;
  }
  @FlowStep({ after: 'source' })
  left(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
  @FlowStep({ after: 'source' })
  middle(input: Text, ctx: FlowContext): undefined {
    this.note(input, ctx);
  }
  @FlowStep({ after: 'source' })
  right(input: Text, ctx: FlowContext): undefined {
    this.note(input, ctx);
  }
}

const Splitting = flow('splitting', { input: json<number>('Size'), output: json<string>('Place') });

@Flow(Splitting)
class SplittingFlow {
  readonly calls: string[] = [];

  @FlowStep({})
  measure(size: number): number | undefined {
    if (size < 0) throw new RangeError('negative');
    return size;
  }
  @FlowStep({ after: 'measure', when: (size: number) => size > 100 })
  large(): string {
    this.calls.push('large');
    return 'large';
  }
  @FlowStep({ after: 'measure', when: (size: number) => size > 10 })
  medium(): string {
    this.calls.push('medium');
    return 'medium';
  }
  @FlowStep({ after: 'measure', otherwise: true })
  small(): string {
    this.calls.push('small');
    return 'small';
  }
  @FlowStep({ after: 'measure' })
  always(): undefined {
    this.calls.push('always');
  }
}

const Picky = flow('picky', { input: json<number>('Size'), output: json<string>('Place') });

@Flow(Picky)
class PickyFlow {
  readonly calls: number[] = [];

  @FlowStep({})
  measure(size: number): number {
    return size;
  }
  @FlowStep({ after: 'measure', when: (size: number) => size > 10 })
  large(size: number): string {
    this.calls.push(size);
    return 'large';
  }
}

const Diamond = flow('diamond', { input: TextSchema, output: TextSchema });

@Flow(Diamond)
class DiamondFlow extends Recorder {
  @FlowStep({})
  top(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
  @FlowStep({ after: 'top' })
  left(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
  @FlowStep({ after: 'top' })
  right(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
  @FlowStep({ after: ['left', 'right'] })
  bottom(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
  @FlowStep({ after: 'bottom' })
  tail(input: Text, ctx: FlowContext): Text {
    return this.note(input, ctx);
  }
  /** A second merge: from the first one and from a branch beside it. */
  @FlowStep({ after: ['bottom', 'top'] })
  again(input: Text, ctx: FlowContext): undefined {
    this.note(input, ctx);
  }
}

describe('the shape of a flow', () => {
  const nats = useFlowServer();

  it('ends a branch where a step returns undefined, at the entry and in the middle', async () => {
    await using app = await startFlowApp(nats.url, [FilteringFlow]);
    const flows = app.get(FlowClient);
    const { calls } = app.get(FilteringFlow);

    const passed = await flows.start(Filtering, { text: 'go' });
    expect(await passed.result()).toEqual({ text: 'go>first>second>third' });
    calls.length = 0;

    const atEntry = await flows.start(Filtering, { text: 'stop-first' }, { runId: 'at-entry' });
    expect(await atEntry.result()).toBeUndefined();
    expect(calls).toEqual(['first']);
    calls.length = 0;

    const inTheMiddle = await flows.start(Filtering, { text: 'stop-second' }, { runId: 'in-the-middle' });
    expect(await inTheMiddle.result()).toBeUndefined();
    expect(calls).toEqual(['first', 'second']);
    expect(await inTheMiddle.status()).toMatchObject({ state: 'completed', pending: 0 });
    // The places of the results that there were not are taken, and nobody is called for them.
    for (const step of ['second', 'third']) {
      await until(async () => (await nats.streams.unfinished('FLOW_filtering', `step_${step}`)) === 0, { what: step });
    }
    expect(calls).toEqual(['first', 'second']);
  });

  it('sends a result to every step that comes after, and ends when the last of them has ended', async () => {
    await using app = await startFlowApp(nats.url, [BroadcastingFlow]);
    const flows = app.get(FlowClient);
    const recorder = app.get(BroadcastingFlow);

    const run = await flows.start(Broadcasting, { text: '' });
    expect(await run.result()).toEqual({ text: 'source>left' });
    expect(recorder.sorted).toEqual(['left', 'middle', 'right', 'source']);

    recorder.calls.length = 0;
    const filtered = await flows.start(Broadcasting, { text: 'nothing' });
    expect(await filtered.result()).toBeUndefined();
    expect(recorder.sorted).toEqual(['source']);
  });

  it.each([
    [1_000, 'large'],
    [50, 'medium'],
    [5, 'small'],
  ])('splits by the first predicate that holds, otherwise by the rest: %i is %s', async (size, place) => {
    await using app = await startFlowApp(nats.url, [SplittingFlow]);
    const run = await app.get(FlowClient).start(Splitting, size);
    expect(await run.result()).toBe(place);
    expect(app.get(SplittingFlow).calls.toSorted()).toEqual(['always', place]);
  });

  it('ends a branch that no predicate takes', async () => {
    await using app = await startFlowApp(nats.url, [PickyFlow]);
    const flows = app.get(FlowClient);
    const refused = await flows.start(Picky, 1);
    expect(await refused.result()).toBeUndefined();
    const taken = await flows.start(Picky, 11);
    expect(await taken.result()).toBe('large');
    expect(app.get(PickyFlow).calls).toEqual([11]);
  });

  it('runs a merge once per branch that reaches it, each at an index of its own', async () => {
    await using app = await startFlowApp(nats.url, [DiamondFlow]);
    const run = await app.get(FlowClient).start(Diamond, { text: '' }, { runId: 'd.1' });
    const result = await run.result();
    const recorder = app.get(DiamondFlow);

    expect(recorder.sorted).toEqual([
      'again@left.bottom',
      'again@right.bottom',
      'again@top',
      'bottom@left',
      'bottom@right',
      'left',
      'right',
      'tail@left',
      'tail@right',
      'top',
    ]);
    expect(['top>left>bottom>tail', 'top>right>bottom>tail']).toContain(result?.text);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
    const stored = await nats.streams.subjects('FLOW_diamond', 'flow.diamond.step.>');
    expect([...stored.keys()].toSorted()).toEqual(
      [
        'left.d=2E1',
        'right.d=2E1',
        'bottom.d=2E1.left',
        'bottom.d=2E1.right',
        'tail.d=2E1.left',
        'tail.d=2E1.right',
        'again.d=2E1.left.bottom',
        'again.d=2E1.right.bottom',
        'again.d=2E1.top',
      ]
        .map((place) => `flow.diamond.step.${place}`)
        .toSorted(),
    );
    expect([...stored.values()].every((count) => count === 1)).toBe(true);
  });
});
