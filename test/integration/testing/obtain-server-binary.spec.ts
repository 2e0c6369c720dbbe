import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildWithGo, downloadRelease, takeFromDebian } from '../../../lib/testing/obtain-server-binary.js';
import { resolveServerBinaryFrom, type ServerBinary } from '../../../lib/testing/resolve-server-binary.js';
import { runProgram } from '../../../lib/testing/run-program.js';
import { cachedBinary, PINNED_VERSION } from '../../../lib/testing/server-binary-cache.js';

const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm7' };
const NAME = `nats-server-v${PINNED_VERSION}-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`;
const ARCHIVE = `${NAME}.tar.gz`;
/** A nats-server, as far as it is asked who it is. */
const BINARY = `#!/bin/sh\necho "nats-server: v${PINNED_VERSION}"\n`;

describe('obtaining a nats-server', () => {
  let directory: string;
  let server: Server;
  let releases: string;
  /** What the server of the releases has, by path. */
  let files: Map<string, string | Buffer>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flow-obtain-'));
    await mkdir(join(directory, 'bin'));
    await writeFile(join(directory, 'binary'), BINARY, { mode: 0o755 });
    // Where the cache is depends on the platform: nothing may get into the user's own.
    vi.stubEnv('XDG_CACHE_HOME', join(directory, 'cache'));
    vi.stubEnv('HOME', directory);
    vi.stubEnv('NATS_SERVER_BIN', '');
    vi.stubEnv('LOG', join(directory, 'log'));
    vi.stubEnv('BINARY', join(directory, 'binary'));
    vi.stubEnv('PATH', `${join(directory, 'bin')}:/usr/bin:/bin`);
    for (const name of ['go', 'apt-get', 'dpkg-deb']) await fakeProgram(name, 'exit 3');

    files = new Map();
    server = createServer(({ url = '' }, response) => {
      void writeFile(join(directory, 'log'), `GET ${url}\n`, { flag: 'a' }).then(() => {
        const file = files.get(url);
        response.writeHead(file === undefined ? 404 : 200).end(file);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    releases = `http://127.0.0.1:${(server.address() as AddressInfo).port}/download`;
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });

  /** A program on the PATH that writes down how it was called, and then does what `script` says. */
  async function fakeProgram(name: string, script: string): Promise<void> {
    const path = join(directory, 'bin', name);
    await writeFile(path, `#!/bin/sh\necho "${name} $*" >> "$LOG"\n${script}\n`);
    await chmod(path, 0o755);
  }

  /** Programs that were called and files that were asked for, in their order. */
  async function log(): Promise<string[]> {
    return (await readFile(join(directory, 'log'), 'utf8')).trimEnd().split('\n');
  }

  /** Puts a release on the server. @param checksum what its list says, instead of the right one */
  async function publishRelease(checksum?: string): Promise<void> {
    await mkdir(join(directory, NAME));
    await writeFile(join(directory, NAME, 'nats-server'), BINARY, { mode: 0o755 });
    await runProgram('tar', ['-czf', ARCHIVE, NAME], { cwd: directory, timeoutMs: 10_000 });
    const archive = await readFile(join(directory, ARCHIVE));
    const sum = checksum ?? createHash('sha256').update(archive).digest('hex');
    const others = `${'0'.repeat(64)}  ${NAME}.zip\n${'1'.repeat(64)}  nats-server-v${PINNED_VERSION}-plan9-amd64.tar.gz\n`;
    files.set(`/download/v${PINNED_VERSION}/SHA256SUMS`, `${others}${sum}  ${ARCHIVE}\n`);
    files.set(`/download/v${PINNED_VERSION}/${ARCHIVE}`, archive);
  }

  const workingGo = (): Promise<void> =>
    fakeProgram('go', 'test "$1" = version || { echo "$CGO_ENABLED" >> "$LOG"; cp "$BINARY" "$GOBIN/nats-server"; }');

  /** @param lists whether the package lists are there at once */
  async function workingDebian(lists: boolean): Promise<void> {
    if (lists) await writeFile(join(directory, 'lists'), '');
    await fakeProgram(
      'apt-get',
      `lists="${join(directory, 'lists')}"
       case $1 in
         update) touch "$lists" ;;
         download) test -e "$lists" || { echo "no lists" >&2; exit 100; }; touch nats-server_2.9_amd64.deb ;;
       esac`,
    );
    await fakeProgram('dpkg-deb', 'mkdir -p "$3/usr/sbin" && test -e "$2" && cp "$BINARY" "$3/usr/sbin/nats-server"');
  }

  /** Nothing of a failed attempt may be taken for a server later, or be left lying about. */
  async function expectEmptyCache(origin = `v${PINNED_VERSION}`): Promise<void> {
    expect(await readdir(join(cachedBinary(origin), '..'))).toEqual([]);
  }

  const quiet = (): void => undefined;

  describe('by the release', () => {
    it('puts it into the cache when it has the checksum of the list', async () => {
      await publishRelease();
      const said: string[] = [];
      const path = await downloadRelease((line) => said.push(line), releases);
      expect(path).toBe(cachedBinary(`v${PINNED_VERSION}`));
      expect(await runProgram(path, ['--version'], { timeoutMs: 10_000 })).toContain(PINNED_VERSION);
      expect(await readdir(join(path, '..'))).toEqual(['nats-server']);
      expect(said).toEqual([`nats-server: downloading ${PINNED_VERSION} …`]);
    });

    it('refuses it when it has another one', async () => {
      const wrong = 'f'.repeat(64);
      await publishRelease(wrong);
      const refusal = new RegExp(`${ARCHIVE} has checksum [0-9a-f]{64}, the release says ${wrong}`);
      await expect(downloadRelease(quiet, releases)).rejects.toThrow(refusal);
      await expectEmptyCache();
    });

    it('says what is missing', async () => {
      await expect(downloadRelease(quiet, releases)).rejects.toThrow(/SHA256SUMS: status 404/);
      files.set(`/download/v${PINNED_VERSION}/SHA256SUMS`, `${'0'.repeat(64)}  other.tar.gz\n`);
      await expect(downloadRelease(quiet, releases)).rejects.toThrow(`release ${PINNED_VERSION} has no ${ARCHIVE}`);
      files.set(`/download/v${PINNED_VERSION}/SHA256SUMS`, `${'0'.repeat(64)}  ${ARCHIVE}\n`);
      await expect(downloadRelease(quiet, releases)).rejects.toThrow(`${ARCHIVE}: status 404`);
      await expectEmptyCache();
    });
  });

  describe('by Go', () => {
    it('builds the pinned version, without the need for a C compiler', async () => {
      await workingGo();
      const path = await buildWithGo(quiet);
      expect(path).toBe(cachedBinary(`v${PINNED_VERSION}`));
      expect(await readFile(path, 'utf8')).toBe(BINARY);
      expect(await log()).toEqual([
        'go version',
        `go install github.com/nats-io/nats-server/v2@v${PINNED_VERSION}`,
        '0',
      ]);
    });

    it('says why it could not', async () => {
      await fakeProgram('go', 'test "$1" = version || { echo "proxy unreachable" >&2; exit 1; }');
      await expect(buildWithGo(quiet)).rejects.toThrow(/go install .*: proxy unreachable/);
      await expectEmptyCache();
    });
  });

  describe("by Debian's package", () => {
    it('takes the binary out of it and installs nothing', async () => {
      await workingDebian(true);
      const path = await takeFromDebian('debian', quiet);
      expect(path).toBe(cachedBinary('debian'));
      expect(await readFile(path, 'utf8')).toBe(BINARY);
      expect(await log()).toEqual([
        'apt-get --version',
        'apt-get download -q nats-server',
        'dpkg-deb -x nats-server_2.9_amd64.deb unpacked',
      ]);
    });

    it('fetches the package lists when there are none and it is root', async () => {
      await workingDebian(false);
      vi.spyOn(process, 'getuid').mockReturnValue(0);
      expect(await readFile(await takeFromDebian('debian', quiet), 'utf8')).toBe(BINARY);
      expect((await log()).slice(1, 4)).toEqual([
        'apt-get download -q nats-server',
        'apt-get update -q',
        'apt-get download -q nats-server',
      ]);
    });

    it('says that there are none when it is not', async () => {
      await workingDebian(false);
      vi.spyOn(process, 'getuid').mockReturnValue(1000);
      await expect(takeFromDebian('debian', quiet)).rejects.toThrow(/apt-get download .*: no lists/);
      expect(await log()).not.toContain('apt-get update -q');
      await expectEmptyCache('debian');
    });
  });

  describe('by whichever way works first', () => {
    const resolve = (): Promise<ServerBinary> =>
      resolveServerBinaryFrom(releases, { version: PINNED_VERSION, onProgress: quiet });
    const sums = `GET /download/v${PINNED_VERSION}/SHA256SUMS`;

    beforeEach((context) => {
      const installed = ['/usr/local/bin', '/usr/sbin', '/usr/bin', '/bin', '/opt/homebrew/bin'];
      const found = installed.find((where) => existsSync(join(where, 'nats-server')));
      context.skip(found !== undefined, `the nats-server in ${found} comes before those that are obtained`);
    });

    it('asks the release first, and the cache from then on', async () => {
      await publishRelease();
      await workingGo();
      await workingDebian(true);
      const path = cachedBinary(`v${PINNED_VERSION}`);
      expect(await resolve()).toEqual({ path, version: PINNED_VERSION, source: 'release download' });
      expect(await log()).toEqual([sums, `GET /download/v${PINNED_VERSION}/${ARCHIVE}`]);
      expect(await resolve()).toEqual({ path, version: PINNED_VERSION, source: 'cache' });
      expect(await log()).toHaveLength(2);
    });

    it('asks Go when the release cannot be had', async () => {
      await workingGo();
      await workingDebian(true);
      expect(await resolve()).toMatchObject({ source: 'go install' });
      expect(await log()).toEqual([sums, 'go version', expect.stringMatching(/^go install/), '0']);
    });

    it('does not run a release that has another checksum, but asks Go', async () => {
      await publishRelease('f'.repeat(64));
      await workingGo();
      expect(await resolve()).toMatchObject({ source: 'go install' });
    });

    it('asks Debian when there is no Go either', async () => {
      await workingDebian(true);
      expect(await resolve()).toMatchObject({ source: "Debian's package" });
      expect((await log()).slice(0, 3)).toEqual([sums, 'go version', 'apt-get --version']);
    });

    it('names every way and why it failed, in their order, when none works', async () => {
      const lines = [
        /^ {2}- NATS_SERVER_BIN_\d+_\d+_\d+: nothing$/,
        /^ {2}- NATS_SERVER_BIN: nothing$/,
        /^ {2}- PATH: nothing$/,
        /^ {2}- cache: nothing$/,
        /^ {2}- cache of Debian's package: nothing$/,
        /^ {2}- release download: .*SHA256SUMS: status 404$/,
        /^ {2}- go install: go version: /,
        /^ {2}- Debian's package: apt-get --version: /,
      ];
      const { message } = await resolve().then(
        () => new Error('resolved'),
        (error: unknown) => error as Error,
      );
      const failures = message.split('\n').filter((line) => line.startsWith('  - '));
      expect(failures).toEqual(lines.map((line) => expect.stringMatching(line) as string));
    });
  });
});
