import { describe, expect, it } from 'vitest';
import { DeadLetters, FlowClient } from 'nestjs-jetstream-flow';
import { WorkerCrew } from '../../chaos/support/worker-crew.js';
import { collect } from '../../support/collect.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { seededRandom } from '../../support/seeded-random.js';
import { until } from '../../support/until.js';
import { isFiltered, Mesh } from './support/mesh.flow.js';

const RUNS = 500;
const KILLS = 5;

/** What a run of this number leaves in the stream: each place exactly once. */
function placesOf(runId: string, value: number): string[] {
  const side = value % 2 === 0 ? 'even' : 'odd';
  const branches = isFiltered(value) ? [side] : [side, 'filter'];
  return [
    `${side}.${runId}`,
    `filter.${runId}`,
    // A filtered result takes its place too, so that the branch ends once.
    ...[side, 'filter'].map((branch) => `join.${runId}.${branch}`),
    ...branches.map((branch) => `end.${runId}.${branch}`),
  ];
}

describe('workers that are killed', { timeout: 120_000 }, () => {
  const nats = useFlowServer();

  it(`leave nothing out and do nothing twice in ${RUNS} runs through a graph and ${KILLS} kills`, async () => {
    const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);
    console.log(`CHAOS_SEED=${seed}`);
    const random = seededRandom(seed);
    const { streams } = nats;
    await using client = await startFlowApp(nats.url, [], { consume: false });
    const flows = client.get(FlowClient);
    await using crew = await WorkerCrew.start(nats.url, 2, new URL('./support/mesh-worker.ts', import.meta.url));
    // Keeps every message that was ever stored, also one that would have replaced another.
    await streams.manager.streams.add({
      name: 'WITNESS',
      sources: [{ name: 'FLOW_mesh', filter_subject: 'flow.mesh.step.>' }],
    });

    let sent = 0;
    let killed = 0;
    const feeding = (async () => {
      for (let value = 0; value < RUNS; value++, sent++) {
        const due = Math.floor((value * (KILLS + 1)) / RUNS);
        await until(() => killed >= due, { what: `kill ${due} before run ${value}`, timeoutMs: 60_000 });
        // By both doors, one after the other, as long as workers are being killed.
        if (value % 3 === 0) await streams.publish('mesh.in', value, { id: `r${value}` });
        else await flows.start(Mesh, value, { runId: `r${value}` });
      }
    })();
    for (let kill = 1; kill <= KILLS; kill++) {
      const next = ((kill - random()) * RUNS) / (KILLS + 1);
      await until(() => sent >= next, { what: `kill ${kill}`, timeoutMs: 60_000 });
      await crew.killOne(random);
      killed = kill;
    }
    await feeding;

    const ids = Array.from({ length: RUNS }, (_, value) => `r${value}`);
    for (const [value, runId] of ids.entries()) {
      const run = flows.run(Mesh, runId);
      const status = await until(
        async () => {
          const now = await run.status();
          return now.state === 'completed' ? now : undefined;
        },
        { what: `the end of ${runId}`, timeoutMs: 60_000 },
      );
      expect(status.pending).toBe(0);
      expect(await run.result()).toBe(value);
    }
    await until(async () => (await unfinished()) === 0, { what: 'the last acknowledgements', timeoutMs: 30_000 });

    const expected = ids.flatMap((runId, value) => placesOf(runId, value).map((place) => `flow.mesh.step.${place}`));
    const witnessed = await until(
      async () => {
        const subjects = await streams.subjects('WITNESS', '>');
        return subjects.size >= expected.length ? subjects : undefined;
      },
      { what: 'the witness' },
    );
    expect([...witnessed.keys()].toSorted()).toEqual(expected.toSorted());
    expect([...witnessed].filter(([, count]) => count !== 1)).toEqual([]);
    expect(await collect(client.get(DeadLetters).list())).toEqual([]);
    expect(crew.accidents).toEqual([]);
  });

  async function unfinished(): Promise<number> {
    let left = 0;
    for (const stream of ['FLOW_mesh', 'FLOW_mesh_IN']) {
      for await (const info of nats.streams.manager.consumers.list(stream)) {
        if (info.config.durable_name !== undefined) left += info.num_pending + info.num_ack_pending;
      }
    }
    return left;
  }
});
