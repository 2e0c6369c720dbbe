import autocannon from 'autocannon';
import type { Instance } from './instance.js';

/** Requests at once, per instance. */
export const CONNECTIONS = 8;

/** Requests that are all the same. */
export interface Load {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** How many, for each instance. */
  readonly requests: number;
  /** Most per second, for each instance. @default as fast as they are answered */
  readonly perSecond?: number;
  /** Called at each answer with 2xx, all instances together. */
  readonly onPassed?: () => void;
}

/** What came back. */
export interface Answers {
  /** How many answers had 2xx, by instance. */
  readonly passed: readonly number[];
  /** How many had 429. */
  readonly denied: number;
  /** The status of each answer that had something else. */
  readonly others: readonly number[];
  /** Header fields of the answers with 429, names in lower case. */
  readonly denials: readonly Readonly<Record<string, string>>[];
  readonly seconds: number;
}

/** Sends the requests to all instances at once, as a balancer in front of them would; each connection stays with one. */
export async function send(load: Load, instances: readonly Instance[]): Promise<Answers> {
  const denials: Record<string, string>[] = [];
  const passed = instances.map(() => 0);
  const others: number[] = [];
  const started = performance.now();
  await Promise.all(
    instances.map(({ url }, index) => {
      const onResponse = (status: number, _body: string, _context: object, headers: object = {}): void => {
        if (status === 429) denials.push(lowerCase(headers));
        else if (status >= 300) others.push(status);
        else {
          passed[index] = (passed[index] ?? 0) + 1;
          load.onPassed?.();
        }
      };
      return autocannon({ ...optionsOf(load), url, requests: [{ ...requestOf(load), onResponse }] });
    }),
  );
  return { passed, denied: denials.length, others, denials, seconds: (performance.now() - started) / 1000 };
}

/** The sum of some numbers. */
export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function optionsOf({ requests, perSecond }: Load): Omit<autocannon.Options, 'url'> {
  const connections = Math.min(CONNECTIONS, requests);
  // How often it looks whether all is answered, in milliseconds; `timeout` is in seconds.
  const rate = perSecond === undefined ? {} : { overallRate: perSecond };
  return { amount: requests, connections, sampleInt: 100, timeout: 30, ...rate };
}

function requestOf({ method, path, headers, body }: Load): autocannon.Request {
  if (body === undefined) return { method, path, headers: { ...headers } };
  return { method, path, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function lowerCase(headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
}
