import { delimiter, join } from 'node:path';
import { EmbeddedServerError } from './embedded-server.error.js';
import { buildWithGo, downloadRelease, RELEASES, takeFromDebian } from './obtain-server-binary.js';
import { runProgram } from './run-program.js';
import { BINARY_NAME, cachedBinary, isExecutable, PINNED_VERSION } from './server-binary-cache.js';

const VERSION_MS = 10_000;

/** What {@link resolveServerBinary} accepts. */
export interface ResolveServerBinaryOptions {
  /** Start of the version that is needed, such as `'2.9'`. @default any */
  readonly version?: string | undefined;
  /** Told in one line before something takes long: a download or a build. @default standard error */
  readonly onProgress?: (line: string) => void;
}

/** A nats-server that can be run. */
export interface ServerBinary {
  readonly path: string;
  /** For example `2.15.2`. */
  readonly version: string;
  /** Where it comes from, for people: `NATS_SERVER_BIN`, `PATH`, `cache`, `release download`, … */
  readonly source: string;
}

interface Way {
  readonly source: string;
  /** The binary, undefined when this way has nothing to offer; throws to say why it failed. */
  find(say: (line: string) => void): Promise<string | undefined>;
}

/**
 * Finds a nats-server, or obtains one. The first of these that works is used:
 *
 * 1. `NATS_SERVER_BIN`: a path;
 * 2. `nats-server` on the PATH, or in the usual directories of package managers;
 * 3. the user's cache directory, where the following ways put theirs;
 * 4. a download of the pinned release, checked against the release's checksums;
 * 5. `go install` of the pinned version;
 * 6. the binary from Debian's package (older: 2.9 in Debian 12).
 *
 * With `version`, a variable of that version (`NATS_SERVER_BIN_2_9` for `'2.9'`) comes first, and what is not
 * of that version is passed over.
 *
 * Safe to call in several processes at once; set `NATS_SERVER_BIN` to the result to spare them the search.
 *
 * @throws EmbeddedServerError that lists every way and why it failed.
 */
export function resolveServerBinary(options: ResolveServerBinaryOptions = {}): Promise<ServerBinary> {
  return resolveServerBinaryFrom(RELEASES, options);
}

/** {@link resolveServerBinary} with the place that the release is downloaded from. */
export async function resolveServerBinaryFrom(
  releases: string,
  options: ResolveServerBinaryOptions,
): Promise<ServerBinary> {
  const say = options.onProgress ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const failures: string[] = [];
  for (const way of waysTo(options.version, releases)) {
    try {
      const path = await way.find(say);
      if (path === undefined) {
        failures.push(`${way.source}: nothing`);
        continue;
      }
      const version = await versionOf(path);
      if (options.version === undefined || isVersion(version, options.version)) {
        return { path, version, source: way.source };
      }
      failures.push(`${way.source}: ${path} is ${version}`);
    } catch (error) {
      failures.push(`${way.source}: ${(error as Error).message}`);
      // Somebody chose that binary: another one instead would be a surprise.
      if (way.source.startsWith('NATS_SERVER_BIN')) break;
    }
  }
  const wanted = options.version === undefined ? 'nats-server' : `nats-server ${options.version}`;
  throw new EmbeddedServerError(
    `No ${wanted} found, and none could be obtained.${failures.map((line) => `\n  - ${line}`).join('')}\n` +
      'Do one of these: install nats-server (apt, apk, brew or https://nats.io/download), set ' +
      `${options.version === undefined ? 'NATS_SERVER_BIN' : variableFor(options.version)} to its path, ` +
      'set NATS_URL to a running server, install Go, or allow access to github.com.',
  );
}

function variableFor(version: string): string {
  return `NATS_SERVER_BIN_${version.replaceAll('.', '_')}`;
}

function waysTo(version: string | undefined, releases: string): Way[] {
  const variables = version === undefined ? ['NATS_SERVER_BIN'] : [variableFor(version), 'NATS_SERVER_BIN'];
  const pinned: Way[] = [
    { source: 'release download', find: (say) => downloadRelease(say, releases) },
    { source: 'go install', find: buildWithGo },
  ];
  // Apart from one fetched for its version: that one must not stand in for a newer one later.
  const debian = version === undefined ? 'debian' : `debian-for-${version}`;
  const pinnedFits = version === undefined || isVersion(PINNED_VERSION, version);
  return [
    ...variables.map((name) => ({ source: name, find: () => namedBy(name) })),
    { source: 'PATH', find: onPath },
    { source: 'cache', find: () => existing(cachedBinary(`v${PINNED_VERSION}`)) },
    { source: "cache of Debian's package", find: () => existing(cachedBinary(debian)) },
    ...(pinnedFits ? pinned : []),
    { source: "Debian's package", find: (say) => takeFromDebian(debian, say) },
  ];
}

/** Whether `version` starts with the numbers of `wanted`. */
function isVersion(version: string, wanted: string): boolean {
  return `${version}.`.startsWith(`${wanted}.`);
}

async function namedBy(variable: string): Promise<string | undefined> {
  const path = process.env[variable];
  if (path === undefined || path === '') return undefined;
  if (!(await isExecutable(path))) throw new Error(`${path} is no executable file`);
  return path;
}

async function onPath(): Promise<string | undefined> {
  const usual = process.platform === 'win32' ? [] : ['/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin'];
  const directories = [...(process.env.PATH ?? '').split(delimiter), ...usual];
  for (const directory of directories.filter((name) => name !== '')) {
    const path = await existing(join(directory, BINARY_NAME));
    if (path !== undefined) return path;
  }
  return undefined;
}

async function existing(path: string): Promise<string | undefined> {
  return (await isExecutable(path)) ? path : undefined;
}

/** What the binary says about itself: `nats-server: v2.15.2`. */
async function versionOf(path: string): Promise<string> {
  const said = await runProgram(path, ['--version'], { timeoutMs: VERSION_MS });
  const version = /v(\d+\.\d+\.\d+\S*)/.exec(said)?.[1];
  if (version === undefined) throw new Error(`${path} --version says "${said.trim()}"`);
  return version;
}
