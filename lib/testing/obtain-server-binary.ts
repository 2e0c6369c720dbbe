import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './run-program.js';
import { BINARY_NAME, PINNED_VERSION, storeInCache } from './server-binary-cache.js';

/** Where the releases are. */
export const RELEASES = 'https://github.com/nats-io/nats-server/releases/download';
/** Short, so that a machine without access to the release loses little time before the next way. */
const FIRST_ANSWER_MS = 5_000;
const DOWNLOAD_MS = 180_000;
const BUILD_MS = 600_000;
const PACKAGE_MS = 180_000;

/** Told in one line before something takes long. */
type Say = (line: string) => void;

/**
 * Downloads the pinned release into the cache. The archive is checked against the release's own list of checksums, fetched
 * beside it over https.
 *
 * That protects from a download that broke off or was garbled, and https from others between here and the release. It
 * does not protect from somebody who can replace the release itself, archive and list together: only checksums kept
 * in this repository would. Who needs that sets `NATS_SERVER_BIN` to a binary of their own, or uses Go.
 *
 * @param releases Where the releases are: `<releases>/v<version>/<file>`.
 * @throws Error when the release cannot be reached, has nothing for this platform, or does not match; nothing is in
 *   the cache then.
 */
export function downloadRelease(say: Say, releases = RELEASES): Promise<string> {
  const architectures: Partial<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm7', ia32: '386' };
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `nats-server-v${PINNED_VERSION}-${platform}-${architectures[process.arch] ?? process.arch}`;
  const release = `${releases}/v${PINNED_VERSION}`;
  return storeInCache(`v${PINNED_VERSION}`, async (directory) => {
    const sums = (await download(`${release}/SHA256SUMS`)).toString('utf8');
    const file = `${name}.${platform === 'windows' ? 'zip' : 'tar.gz'}`;
    const entry = sums.split('\n').find((line) => line.trim().endsWith(` ${file}`));
    const expected = entry?.trim().split(/\s+/)[0];
    if (expected === undefined) throw new Error(`release ${PINNED_VERSION} has no ${file}`);
    say(`nats-server: downloading ${PINNED_VERSION} …`);
    const archive = await download(`${release}/${file}`);
    const actual = createHash('sha256').update(archive).digest('hex');
    if (actual !== expected) throw new Error(`${file} has checksum ${actual}, the release says ${expected}`);
    await writeFile(join(directory, file), archive);
    await runProgram('tar', ['-xf', file], { cwd: directory, timeoutMs: DOWNLOAD_MS });
    return join(directory, name, BINARY_NAME);
  });
}

/** The body behind `url`. The first answer must come soon, the rest may take its time. */
async function download(url: string): Promise<Buffer> {
  const impatient = new AbortController();
  const timer = setTimeout(() => impatient.abort(new Error(`no answer within ${FIRST_ANSWER_MS} ms`)), FIRST_ANSWER_MS);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([impatient.signal, AbortSignal.timeout(DOWNLOAD_MS)]),
    });
    clearTimeout(timer);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : message}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Builds the pinned version from its Go module into the cache; Go's checksum database vouches for the
 * source.
 *
 * @throws Error when there is no Go, it is too old, or the module proxy cannot be reached.
 */
export function buildWithGo(say: Say): Promise<string> {
  return storeInCache(`v${PINNED_VERSION}`, async (directory) => {
    await runProgram('go', ['version'], { timeoutMs: PACKAGE_MS });
    say(`nats-server: building ${PINNED_VERSION} with Go, this takes a minute or two …`);
    await runProgram('go', ['install', `github.com/nats-io/nats-server/v2@v${PINNED_VERSION}`], {
      // Out of any module the caller works in, and without the need for a C compiler.
      cwd: directory,
      env: { GOBIN: directory, CGO_ENABLED: '0', GOFLAGS: '-trimpath' },
      timeoutMs: BUILD_MS,
    });
    return join(directory, BINARY_NAME);
  });
}

/**
 * Takes the binary out of Debian's package into the cache. The package is not installed: nothing of the
 * system changes and no service starts. Only root can fetch the package lists where they are missing.
 *
 * @param origin Name of the copy in the cache.
 * @throws Error on systems without apt, without the package, or without root and package lists.
 */
export function takeFromDebian(origin: string, say: Say): Promise<string> {
  return storeInCache(origin, async (directory) => {
    const run = (file: string, args: string[]): Promise<string> =>
      runProgram(file, args, { cwd: directory, timeoutMs: PACKAGE_MS });
    await run('apt-get', ['--version']);
    say("nats-server: fetching Debian's package …");
    try {
      await run('apt-get', ['download', '-q', 'nats-server']);
    } catch (error) {
      if (process.getuid?.() !== 0) throw error;
      await run('apt-get', ['update', '-q']);
      await run('apt-get', ['download', '-q', 'nats-server']);
    }
    const archive = (await readdir(directory)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get download nats-server left no package');
    await run('dpkg-deb', ['-x', archive, 'unpacked']);
    return join(directory, 'unpacked', 'usr', 'sbin', BINARY_NAME);
  });
}
