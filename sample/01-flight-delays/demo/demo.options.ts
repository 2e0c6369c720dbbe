import { parseArgs } from 'node:util';

/** What may be said on the command line. */
export interface DemoOptions {
  /** How many of the file's 20,000 flights: at least so many that a crash among them takes some with it. */
  readonly flights: number;
  /** Worker processes. */
  readonly workers: number;
}

const USAGE = `Usage: npm run demo -- [--flights <100 to 20000>] [--workers <1 to 16>]`;

/** @throws Error with the usage when the arguments are not understood. */
export function readDemoOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      flights: { type: 'string', default: '20000' },
      workers: { type: 'string', default: '2' },
    },
  });
  return { flights: whole('flights', values.flights, 100, 20_000), workers: whole('workers', values.workers, 1, 16) };
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name} "${text}" is not a whole number from ${least} to ${most}. ${USAGE}`);
}
