import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { CuttingProxy } from '../support/cutting-proxy.js';
import { until } from '../support/until.js';
import { checkHistory, type ChainRecord } from './support/chain-history.js';

const WORKER = fileURLToPath(new URL('./support/chain-worker.ts', import.meta.url));
const PROCESSES = 8;
const OPERATIONS = 250;
const KEYS = 20;

/** A worker process; resolves with its exit code when it has ended. */
async function work(url: string, name: string, onRecord: (record: ChainRecord) => void): Promise<number | null> {
  const args = ['--import', '@swc-node/register/esm-register', WORKER, url, name, String(OPERATIONS), String(KEYS)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => onRecord(JSON.parse(line) as ChainRecord));
  const [[code]] = (await Promise.all([once(child, 'exit'), once(lines, 'close')])) as [[number | null], unknown];
  return code;
}

describe('the state of a key', () => {
  it('has one history that explains what 8 processes saw, over cuts, lost replies and a server kill', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using even = await CuttingProxy.start(server);
    await using odd = await CuttingProxy.start(server);
    const records: ChainRecord[] = [];
    const isOdd = ({ id }: ChainRecord): boolean => Number(id.slice(1, id.indexOf('-'))) % 2 === 1;
    const reached = (share: number): Promise<unknown> =>
      until(() => records.length >= share * PROCESSES * OPERATIONS, {
        what: `${share} of the work`,
        timeoutMs: 120_000,
      });
    const disturb = async (): Promise<void> => {
      const isWorking = (index: number): boolean => records.some(({ id }) => id.startsWith(`w${index}-`));
      const everybody = Array.from({ length: PROCESSES }, (_, index) => index);
      await until(() => everybody.every(isWorking), { what: 'all to have started', timeoutMs: 120_000 });
      await reached(0.15);
      even.cut();
      await reached(0.3);
      await server.kill();
      await server.restart();
      await reached(0.45);
      // The server takes what half of the processes write, and they do not hear of it.
      even.dropRepliesAfter(0);
      const others = records.filter(isOdd).length;
      await until(() => records.filter(isOdd).length > others + 40, { what: 'the others to go on', timeoutMs: 60_000 });
      even.restore();
      await reached(0.7);
      odd.cut();
      even.cut();
    };
    const workers = Array.from({ length: PROCESSES }, (_, index) =>
      work((index % 2 === 0 ? even : odd).url, `w${index}`, (record) => records.push(record)),
    );
    const [codes] = await Promise.all([Promise.all(workers), disturb()]);
    expect(codes).toEqual(codes.map(() => 0));

    const done = records.filter(({ outcome }) => outcome === 'done');
    expect(done.length).toBeGreaterThan(0.9 * PROCESSES * OPERATIONS);
    const keys = new Set(records.map(({ key }) => key));
    expect(keys.size).toBe(KEYS);
    for (const key of keys) {
      const history = records.filter((record) => record.key === key);
      expect({ key, ...checkHistory(history) }).toEqual({ key, ok: true });
    }
  });
});
