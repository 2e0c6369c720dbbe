import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/until.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT_MS = 180_000;

/** A run of the demo, as `npm run demo` starts it when everything is set up. */
class Demo {
  output = '';
  private readonly child;
  private readonly closed: Promise<unknown>;

  constructor(...args: string[]) {
    const demo = 'sample/01-flight-delays/demo.ts';
    this.child = spawn(process.execPath, ['--import', '@swc-node/register/esm-register', demo, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.closed = once(this.child, 'close');
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.closed;
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async exitCode(): Promise<number | null> {
    await this.closed;
    return this.child.exitCode;
  }

  async says(text: string): Promise<void> {
    const said = (): boolean => this.output.includes(text);
    await until(() => said() || this.child.exitCode !== null, { what: `"${text}"`, timeoutMs: TIMEOUT_MS / 2 });
    expect(said(), this.output).toBe(true);
  }

  /** The processes that the demo named: its server and its workers. */
  processes(): number[] {
    return Array.from(this.output.matchAll(/pid (\d+)/g), ([, pid]) => Number(pid));
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

describe('the demo of the flight delays', () => {
  it('folds every flight once though a worker is killed', { timeout: TIMEOUT_MS }, async () => {
    const demo = new Demo('--flights', '2000');
    const exitCode = await demo.exitCode();
    const lines = demo.output.trimEnd().split('\n');

    expect(exitCode, demo.output).toBe(0);
    // In the middle of the work, and not with empty hands: see the redeliveries below.
    const killed = /^worker 1 \(pid \d+\) was killed with SIGKILL after (\d+) flights/m.exec(demo.output);
    expect(Number(killed?.[1])).toBeGreaterThanOrEqual(1000);
    expect(Number(killed?.[1])).toBeLessThan(2000);
    expect(demo.output).toContain('folded 2000 of 2000 (100 %)');
    expect(demo.output).toContain('│ 10 │');
    expect(demo.output).toContain('146 airports, 1221 routes and 22 routes to review are what the file says');
    expect(lines.at(-1)).toMatch(
      /^demo: OK 2000 flights in [\d.]+ s \(\d+ flights\/s\), 1389 objects compared, [1-9]\d* redeliveries$/,
    );
    expect(demo.processes().filter(isRunning)).toEqual([]);
  });

  it('ends everything when it is interrupted', { timeout: TIMEOUT_MS }, async () => {
    const demo = new Demo();
    await demo.says('published 12000 of 20000 flights');
    demo.kill('SIGINT');

    expect(await demo.exitCode(), demo.output).toBe(130);
    expect(demo.output).toContain('demo: FAILED interrupted by SIGINT');
    expect(demo.processes()).toHaveLength(3);
    expect(demo.processes().filter(isRunning)).toEqual([]);
  });

  it('leaves no process behind when it is killed itself', { timeout: TIMEOUT_MS }, async () => {
    const demo = new Demo();
    await demo.says('published 12000 of 20000 flights');
    demo.kill('SIGKILL');

    await until(() => !demo.processes().some(isRunning), {
      what: 'the end of the server and the workers',
      timeoutMs: 60_000,
    });
  });

  it('says what it takes when it is given something else', async () => {
    for (const flights of ['many', '99']) {
      const demo = new Demo('--flights', flights);
      expect(await demo.exitCode()).toBe(2);
      expect(demo.output).toContain('Usage: npm run demo -- [--flights <100 to 20000>] [--workers <1 to 16>]');
    }
  });
});
