import { fixed, Flow, flow, FlowStep, json } from '../../../../lib/index.js';

const number = json<number>('Number');

/** Every way in which a result can go on: a split, a broadcast, a merge, an end in the middle. */
export const Mesh = flow('mesh', { input: number, output: number, track: 'step' });

/** Numbers that the filter step takes out. */
export const isFiltered = (value: number): boolean => value % 10 === 7;

// Short, so that what a killed process held comes again soon.
const step = { ackWait: '1s', concurrency: 8, retry: fixed('100ms', { attempts: 20 }), input: number } as const;

/** Work takes a moment, so that a kill meets messages everywhere. */
const work = (value: number): Promise<number> =>
  new Promise((resolve) => setTimeout(() => resolve(value), Math.random() * 20));

@Flow(Mesh)
export class MeshFlow {
  @FlowStep({ ...step, subject: 'mesh.in' })
  root(value: number): Promise<number> {
    return work(value);
  }

  @FlowStep({ ...step, after: 'root', when: (value: number) => value % 2 === 0 })
  even(value: number): Promise<number> {
    return work(value);
  }

  @FlowStep({ ...step, after: 'root', otherwise: true })
  odd(value: number): Promise<number> {
    return work(value);
  }

  @FlowStep({ ...step, after: 'root' })
  async filter(value: number): Promise<number | undefined> {
    return (await work(value)) % 10 === 7 ? undefined : value;
  }

  @FlowStep({ ...step, after: ['even', 'odd', 'filter'] })
  join(value: number): Promise<number> {
    return work(value);
  }

  @FlowStep({ ...step, after: 'join' })
  end(value: number): Promise<number> {
    return work(value);
  }
}
