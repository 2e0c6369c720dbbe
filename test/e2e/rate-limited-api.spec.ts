import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { Instance } from '../../sample/02-rate-limited-api/demo/instance.js';
import { send, sum, type Load } from '../../sample/02-rate-limited-api/demo/load.js';
import { PAGES, READS, STATUS } from '../../sample/02-rate-limited-api/limits.js';
import { useFlowServer } from '../support/flow-server.js';

const TIMEOUT_MS = 120_000;
const flowServer = useFlowServer();
const instances: Instance[] = [];

beforeAll(async () => {
  instances.push(...(await Promise.all([1, 2].map(() => Instance.start(flowServer.url)))));
});

afterAll(async () => {
  await Promise.all(instances.map((instance) => instance[Symbol.asyncDispose]()));
});

function documentsOf(user: string, pages: number): Load {
  return { method: 'POST', path: '/documents', headers: { 'x-user-id': user }, body: { pages }, requests: 120 };
}

function readsOf(key: string): Load {
  return { method: 'GET', path: '/documents/7', headers: { 'x-api-key': key }, requests: 150 };
}

function statusFor(key: string): Load {
  return { method: 'GET', path: '/status', headers: { 'x-api-key': key }, requests: 60 };
}

describe('two instances of the rate-limited API', () => {
  it('let exactly the limit through, for each user and key', { timeout: TIMEOUT_MS }, async () => {
    const [ada, bob, reader, other, monitor] = await Promise.all(
      [documentsOf('ada', 2), documentsOf('bob', 7), readsOf('reader'), readsOf('other'), statusFor('monitor')].map(
        (load) => send(load, instances),
      ),
    );

    expect(sum(ada!.passed)).toBe(PAGES.limit / 2);
    // 42 times 7 pages are 294; of the six that are left, nobody could make seven.
    expect(sum(bob!.passed)).toBe(Math.floor(PAGES.limit / 7));
    expect(sum(reader!.passed)).toBe(READS.limit);
    expect(sum(other!.passed)).toBe(READS.limit);
    expect(sum(monitor!.passed)).toBe(STATUS.limit);
    expect([ada, bob, reader, other, monitor].map((answers) => answers?.others)).toEqual([[], [], [], [], []]);
    expect(ada!.denied).toBe(240 - PAGES.limit / 2);
    expect(reader!.denied).toBe(300 - READS.limit);
    for (const denial of reader!.denials) {
      expect(denial).toMatchObject({
        'retry-after': expect.stringMatching(/^\d+$/) as string,
        'ratelimit-policy': '"reads";q=100;w=600',
        ratelimit: expect.stringMatching(/^"reads";r=0;t=\d+$/) as string,
      });
    }
  });

  it('lose nothing that they allowed when one of them stops under load', { timeout: TIMEOUT_MS }, async () => {
    const leaving = await Instance.start(flowServer.url);
    let stopped: Promise<void> | undefined;
    let passed = 0;
    const onPassed = (): void => {
      if (++passed >= READS.limit / 2) stopped ??= leaving[Symbol.asyncDispose]();
    };
    const answers = await send({ ...readsOf('leaving'), onPassed }, [instances[0]!, leaving]);
    await stopped;

    expect(stopped).toBeDefined();
    expect(sum(answers.passed)).toBe(READS.limit);
    // What came to it later was refused, for a balancer to take it elsewhere.
    expect(answers.others.filter((status) => status !== 503)).toEqual([]);
  });
});

describe('the demo of the rate-limited API', () => {
  it('ends well, and leaves no process behind', { timeout: TIMEOUT_MS }, async () => {
    const demo = spawn(
      process.execPath,
      ['--import', '@swc-node/register/esm-register', 'sample/02-rate-limited-api/demo.ts'],
      { cwd: fileURLToPath(new URL('../..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [output] = await Promise.all([text(demo.stdout), once(demo, 'close')]);

    expect(demo.exitCode, output).toBe(0);
    expect(output.trimEnd().split('\n').at(-1)).toMatch(/^demo: OK \d limits kept$/);
    const pids = Array.from(output.matchAll(/pid (\d+)/g), ([, pid]) => Number(pid));
    expect(pids).toHaveLength(3);
    expect(pids.filter(isRunning)).toEqual([]);
  });
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
