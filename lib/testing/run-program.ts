import { execFile } from 'node:child_process';

/** How a program is run. */
export interface RunProgramOptions {
  /** Variables that replace or join those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program is killed after this time. */
  readonly timeoutMs: number;
}

/**
 * Runs a program to its end and returns what it printed on standard output.
 *
 * @throws Error when it cannot be started, fails or takes too long; the message ends with its last words.
 */
export function runProgram(file: string, args: readonly string[], options: RunProgramOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { cwd: options.cwd, env: { ...process.env, ...options.env }, timeout: options.timeoutMs };
    const child = execFile(file, args, { ...settings, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const lastWords = stderr.trim().split('\n').slice(-3).join(' ').trim();
      const what = error.killed === true ? `took longer than ${options.timeoutMs} ms` : lastWords || error.message;
      reject(new Error(`${file} ${args.join(' ')}: ${what}`, { cause: error }));
    });
    child.stdin?.end();
  });
}
