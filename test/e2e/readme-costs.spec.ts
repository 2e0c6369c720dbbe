import { readFileSync } from 'node:fs';
import type { Type } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Flow,
  flow,
  FlowClient,
  FlowConnection,
  FlowModule,
  FlowStep,
  json,
  TerminalError,
  type FlowContract,
  type JsonSchema,
  type TrackLevel,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, eventually, FlowTestApp } from 'nestjs-jetstream-flow/testing';

type NumberFlow = FlowContract<JsonSchema<number>, JsonSchema<number>>;

/** A flow of the table "What it costs", and the class with its steps. */
interface Case {
  readonly label: string;
  readonly contract: NumberFlow;
  readonly steps: Type;
  /** Calls of steps in one run. */
  readonly calls: number;
}

const tracks: readonly TrackLevel[] = ['none', 'run', 'step'];
let calls = 0;

function called(value: number): number {
  calls += 1;
  return value;
}

function casesOf(track: TrackLevel): Case[] {
  const contractOf = (name: string): NumberFlow =>
    flow(`${name}_${track}`, { input: json<number>(), output: json<number>(), track });
  const [line, split, broadcast, filter, dead] = ['line', 'split', 'broadcast', 'filter', 'dead'].map(contractOf) as [
    NumberFlow,
    NumberFlow,
    NumberFlow,
    NumberFlow,
    NumberFlow,
  ];

  @Flow(line)
  class Line {
    @FlowStep()
    first(value: number): number {
      return called(value);
    }
    @FlowStep({ after: 'first' })
    second(value: number): number {
      return called(value);
    }
    @FlowStep({ after: 'second' })
    third(value: number): number {
      return called(value);
    }
  }

  @Flow(split)
  class Split {
    @FlowStep()
    first(value: number): number {
      return called(value);
    }
    @FlowStep({ after: 'first', when: (value: number) => value > 0 })
    positive(value: number): number {
      return called(value);
    }
    @FlowStep({ after: 'first', otherwise: true })
    rest(value: number): number {
      return called(value);
    }
  }

  @Flow(broadcast)
  class Broadcast {
    @FlowStep()
    first(value: number): number {
      return called(value);
    }
    @FlowStep({ after: 'first' })
    left(value: number): number {
      return called(value);
    }
    @FlowStep({ after: 'first' })
    right(value: number): number {
      return called(value);
    }
  }

  @Flow(filter)
  class Filter {
    @FlowStep()
    first(value: number): number | undefined {
      called(value);
      return undefined;
    }
    @FlowStep({ after: 'first' })
    second(value: number): number {
      return called(value);
    }
  }

  @Flow(dead)
  class Dead {
    @FlowStep()
    only(value: number): number {
      called(value);
      throw new TerminalError('No');
    }
  }

  return [
    { label: 'a line of 3 steps', contract: line, steps: Line, calls: 3 },
    { label: 'a split, one of two steps taken', contract: split, steps: Split, calls: 2 },
    { label: 'a broadcast to two steps', contract: broadcast, steps: Broadcast, calls: 3 },
    { label: 'a first of two steps that returns `undefined`', contract: filter, steps: Filter, calls: 1 },
    {
      label: 'a single step that gives its message up, dead letter included',
      contract: dead,
      steps: Dead,
      calls: 1,
    },
  ];
}

/** The numbers of a row of the README's table, one for each track level. */
function stated(label: string): number[] {
  const row = readFileSync('README.md', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`| ${label} `));
  return (row ?? '').split('|').slice(2, 5).map(Number);
}

describe("the README's costs of a run", () => {
  const cases = tracks.map(casesOf);
  let server: EmbeddedNatsServer;
  let app: FlowTestApp;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
    app = await FlowTestApp.start(
      ({ url }) => ({
        imports: [FlowModule.forRoot({ servers: url })],
        providers: cases.flat().map(({ steps }) => steps),
      }),
      { server, logger: false },
    );
  });
  afterAll(async () => {
    await app.close();
    await server.stop();
  });

  it.each(casesOf('run').map(({ label }, index) => ({ label, index })))('$label', async ({ label, index }) => {
    const measured: number[] = [];
    for (const level of cases) measured.push(await storedBy(level[index]!));
    expect(measured).toEqual(stated(label));
  });

  /** Messages that one run stores, in its own stream and as dead letters. */
  async function storedBy({ contract, calls: expected }: Case): Promise<number> {
    const { manager } = app.get(FlowConnection);
    const stored = async (): Promise<number> => {
      const infos = await Promise.all([`FLOW_${contract.name}`, 'FLOW_DEAD'].map((name) => manager.streams.info(name)));
      return infos.reduce((sum, info) => sum + info.state.last_seq, 0);
    };
    const idle = async (): Promise<boolean> => {
      const consumers = await manager.consumers.list(`FLOW_${contract.name}`).next();
      return calls >= expected && consumers.every((info) => info.num_ack_pending + info.num_pending === 0);
    };
    const before = await stored();
    calls = 0;
    await app.get(FlowClient).start(contract, 1);
    await eventually(idle, { what: `the end of a run of ${contract.name}` });
    return (await stored()) - before;
  }
});
