import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { until } from '../support/until.js';
import type { Visit } from './support/mutex-worker.js';

const WORKER = fileURLToPath(new URL('./support/mutex-worker.ts', import.meta.url));
const PROCESSES = 4;
const ROUNDS = 100;

interface SeenVisit extends Visit {
  readonly worker: number;
}

function work(url: string, worker: number, onVisit: (visit: SeenVisit) => void): ChildProcess {
  const child = fork(WORKER, [url], { execArgv: ['--import', '@swc-node/register/esm-register'] });
  child.on('message', (message) => onVisit({ ...(message as Visit), worker }));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

describe('a mutex', () => {
  it('never has two holders, over 100 kills of the server and some of its holders', { timeout: 600_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    const visits: SeenVisit[] = [];
    const workers = Array.from({ length: PROCESSES }, (_, index) =>
      work(server.url, index, (visit) => visits.push(visit)),
    );
    const everybody = (): boolean => new Set(visits.map(({ worker }) => worker)).size >= PROCESSES;
    await until(everybody, { what: 'all to have been in', timeoutMs: 60_000 });
    for (let round = 1; round <= ROUNDS; round++) {
      const before = visits.length;
      await server.kill();
      if (round % 20 === 0) {
        await end(workers[0]!);
        workers[0] = work(server.url, PROCESSES + round, (visit) => visits.push(visit));
      }
      await server.restart();
      await until(() => visits.length > before + 2, {
        what: `somebody to be in after kill ${round}`,
        timeoutMs: 60_000,
      });
    }
    await Promise.all(workers.map(end));

    const byToken = visits.toSorted((a, b) => a.token - b.token);
    const overlaps = byToken.filter((visit, index) => {
      const next = byToken[index + 1];
      return next !== undefined && (next.token === visit.token || next.from < visit.to);
    });
    expect(overlaps).toEqual([]);
    expect(visits.length).toBeGreaterThan(2 * ROUNDS);
    expect(visits.filter(({ lost }) => lost).length).toBeLessThan(visits.length / 4);
  });
});
