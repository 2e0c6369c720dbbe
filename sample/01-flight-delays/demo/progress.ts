import { MultiBar, Presets } from 'cli-progress';

/** Shows how far a number has come, and takes lines that are said meanwhile. */
export interface Progress extends Disposable {
  update(value: number): void;
  say(line: string): void;
}

/** Where a progress is shown: standard output, or a stream of a test. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** A bar at a terminal; elsewhere a line for every tenth. */
export function startProgress(what: string, total: number, stream: ProgressStream = process.stdout): Progress {
  return stream.isTTY === true ? progressBar(what, total, stream) : progressLines(what, total, stream);
}

function progressBar(what: string, total: number, stream: ProgressStream): Progress {
  const bars = new MultiBar(
    {
      format: `${what} {bar} {percentage} % of {total}, {duration_formatted}`,
      stream,
      hideCursor: true,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  const bar = bars.create(total, 0);
  return {
    update: (value) => bar.update(value),
    say: (line) => bars.log(`${line}\n`),
    [Symbol.dispose]: () => {
      // What was said last is still to be shown.
      bars.update();
      bars.stop();
    },
  };
}

function progressLines(what: string, total: number, stream: ProgressStream): Progress {
  let shown = 0;
  return {
    update: (value) => {
      const tenth = Math.floor((10 * value) / total);
      if (tenth === shown) return;
      shown = tenth;
      stream.write(`${what} ${value} of ${total} (${10 * tenth} %)\n`);
    },
    say: (line) => void stream.write(`${line}\n`),
    [Symbol.dispose]: () => undefined,
  };
}
