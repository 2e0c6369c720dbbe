import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/**
 * Reads the server's pid, then waits for a second line. The end of input instead of that line means that
 * the process that started the server is gone, however it ended: SIGKILL closes pipes too. Shell builtins
 * only, so the watcher is one small process.
 */
const WATCHER_SCRIPT = 'read -r pid; if read -r word; then exit 0; fi; kill -KILL "$pid"; rm -rf -- "$1"';

/** How one server process is started. */
export interface ServerProcessSettings {
  readonly binary: string;
  readonly args: readonly string[];
  /** Private directory for the log; removed when the parent dies without stopping the server. */
  readonly directory: string;
}

/**
 * One run of the nats-server binary. It has its own process group, so that an interrupt at the terminal
 * reaches the application first; it does not keep the parent's event loop alive; and it ends when the
 * parent ends, also after SIGKILL (not on Windows, which has no shell to watch with).
 */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  #ending: string | undefined;
  readonly #exited: Promise<void>;

  constructor(settings: ServerProcessSettings) {
    this.#logFile = `${settings.directory}/nats-server.log`;
    // A file and no pipe: the server must never wait for a parent that is too busy to read.
    const log = openSync(this.#logFile, 'a');
    try {
      const watcher = startWatcher(settings.directory);
      this.#child = spawn(settings.binary, settings.args, { detached: true, stdio: ['ignore', log, log] });
      this.#exited = new Promise((resolve) => {
        const ended = (how: string): void => {
          this.#ending ??= how;
          watcher?.stdin?.end('done\n');
          resolve();
        };
        this.#child.once('error', (error) => {
          ended(`could not be started (${error.message})`);
        });
        this.#child.once('exit', (code, signal) => {
          ended(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
        });
      });
      if (this.#child.pid !== undefined) watcher?.stdin?.write(`${this.#child.pid}\n`);
      this.#child.unref();
    } finally {
      closeSync(log);
    }
  }

  /** Process id; undefined when the binary could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** How the process ended, to end a sentence with; undefined while it runs. */
  get ending(): string | undefined {
    return this.#ending;
  }

  /** The last lines that the server logged. */
  logTail(lines = 20): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** Sends `signal` and waits until the process is gone; SIGKILL follows after `graceMs`. */
  async end(signal: 'SIGTERM' | 'SIGKILL', graceMs: number): Promise<void> {
    if (this.#ending !== undefined) return;
    this.#child.ref();
    this.#child.kill(signal);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.#exited;
    clearTimeout(killer);
  }
}

function startWatcher(directory: string): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined;
  const watcher = spawn('/bin/sh', ['-c', WATCHER_SCRIPT, 'nats-server-watcher', directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Whoever ended the watcher by hand has also ended its duty: a broken pipe must not end the application.
  watcher.stdin.on('error', () => watcher.unref());
  watcher.on('error', () => watcher.unref());
  watcher.unref();
  // The pipe is a socket at run time; it must not keep the application alive.
  const { stdin } = watcher as { stdin: { unref?: () => void } };
  stdin.unref?.();
  return watcher;
}
