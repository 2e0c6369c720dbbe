import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('./relay-worker.ts', import.meta.url));

/** Worker processes that are killed and replaced. */
export class WorkerCrew implements AsyncDisposable {
  private readonly workers = new Set<ChildProcess>();
  /** Workers that ended without being killed, which none should. */
  readonly accidents: string[] = [];

  private constructor(private readonly url: string) {}

  /** Resolves when `size` workers run. */
  static async start(url: string, size: number): Promise<WorkerCrew> {
    const crew = new WorkerCrew(url);
    await Promise.all(Array.from({ length: size }, () => crew.hire()));
    return crew;
  }

  /** Kills a worker with SIGKILL, and starts another in its place without waiting for it. */
  async killOne(random: () => number): Promise<void> {
    const all = [...this.workers];
    const victim = all[Math.floor(random() * all.length)];
    if (victim === undefined) throw new Error('There is no worker left to kill');
    await this.kill(victim);
    this.hire().catch((error: unknown) => this.accidents.push(String(error)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.workers].map((worker) => this.kill(worker)));
  }

  private async hire(): Promise<void> {
    const execArgv = ['--import', '@swc-node/register/esm-register'];
    const worker = fork(WORKER, [this.url], { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.workers.add(worker);
    const running = once(worker, 'message');
    const ended = once(worker, 'exit').then(([code, signal]) => {
      if (this.workers.delete(worker)) this.accidents.push(`a worker ended with ${String(code ?? signal)}`);
    });
    await Promise.race([running, ended]);
  }

  private async kill(worker: ChildProcess): Promise<void> {
    this.workers.delete(worker);
    if (worker.exitCode !== null || worker.signalCode !== null) return;
    const exited = once(worker, 'exit');
    worker.kill('SIGKILL');
    await exited;
  }
}
