import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

const MAIN = new URL('../main.ts', import.meta.url);
const STOP_MS = 15_000;

/** How a worker is started. */
export interface WorkerSettings {
  /** For messages. */
  readonly name: string;
  readonly serverUrl: string;
  /** Takes what the worker logs. */
  readonly logFile: string;
  /** Called when it ends though nobody asked it to. */
  readonly onCrash: (error: Error) => void;
}

/** One worker of the flow in a process of its own. It ends with this process, however that ends. */
export class WorkerProcess implements AsyncDisposable {
  /** Resolves when it pulls messages, or has ended instead. */
  readonly ready: Promise<void>;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private stopping = false;
  private frozen = false;

  constructor(private readonly settings: WorkerSettings) {
    const log = openSync(settings.logFile, 'a');
    // The options of this process are taken over, and with them what compiles TypeScript.
    this.child = fork(MAIN, {
      env: { ...process.env, NATS_URL: settings.serverUrl, NATS_SERVERS: '' },
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        if (!this.stopping) this.reportCrash(how);
        resolve();
      };
      this.child.once('error', (error) => end(error.message));
      this.child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    });
    const pulling = new Promise<void>((resolve) => this.child.once('message', () => resolve()));
    this.ready = Promise.race([pulling, this.ended]);
  }

  get name(): string {
    return `${this.settings.name} (pid ${this.child.pid ?? 'none'})`;
  }

  /**
   * Stops it in its tracks, for a moment: it does not even see that this process ends. Does nothing on Windows, which has
   * no such signal.
   */
  freeze(): void {
    if (process.platform === 'win32') return;
    this.frozen = true;
    this.child.kill('SIGSTOP');
  }

  /** Ends it at once, as a crash would: no farewell to anybody. */
  async kill(): Promise<void> {
    this.stopping = true;
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Lets it finish what it works on. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping = true;
    // A frozen one would not hear the other signal.
    this.child.kill(this.frozen ? 'SIGKILL' : 'SIGTERM');
    const impatience = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    await this.ended;
    clearTimeout(impatience);
  }

  private reportCrash(how: string): void {
    const { logFile, onCrash } = this.settings;
    const lastWords = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-10).join('\n');
    onCrash(new Error(`${this.name} has ended (${how}). Its last log lines:\n${lastWords}`));
  }
}
