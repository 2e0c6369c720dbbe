import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from '../../support/until.js';

const WORKER = new URL('./relay-worker.ts', import.meta.url);

/** Worker processes that are killed and replaced. */
export class WorkerCrew implements AsyncDisposable {
  private readonly workers = new Set<ChildProcess>();
  /** Those that have told that they work; one that still boots is no prey. */
  private readonly running = new Set<ChildProcess>();
  /** Workers that ended without being killed, which none should. */
  readonly accidents: string[] = [];

  private constructor(
    private readonly url: string,
    private readonly script: string,
  ) {}

  /** Resolves when `size` workers run. A worker tells its parent so with a message. */
  static async start(url: string, size: number, script = WORKER): Promise<WorkerCrew> {
    const crew = new WorkerCrew(url, fileURLToPath(script));
    await Promise.all(Array.from({ length: size }, () => crew.hire()));
    return crew;
  }

  /** Kills a worker that runs with SIGKILL, and starts another in its place without waiting for it. */
  async killOne(random: () => number): Promise<void> {
    const victim = await until(() => [...this.running][Math.floor(random() * this.running.size)], {
      what: 'a worker that runs',
      timeoutMs: 60_000,
    });
    await this.kill(victim);
    this.hire().catch((error: unknown) => this.accidents.push(String(error)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.workers].map((worker) => this.kill(worker)));
  }

  private async hire(): Promise<void> {
    const execArgv = ['--import', '@swc-node/register/esm-register'];
    const worker = fork(this.script, [this.url], { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.workers.add(worker);
    const running = once(worker, 'message').then(() => this.running.add(worker));
    const ended = once(worker, 'exit').then(([code, signal]) => {
      this.running.delete(worker);
      if (this.workers.delete(worker)) this.accidents.push(`a worker ended with ${String(code ?? signal)}`);
    });
    await Promise.race([running, ended]);
  }

  private async kill(worker: ChildProcess): Promise<void> {
    this.workers.delete(worker);
    this.running.delete(worker);
    if (worker.exitCode !== null || worker.signalCode !== null) return;
    const exited = once(worker, 'exit');
    worker.kill('SIGKILL');
    await exited;
  }
}
