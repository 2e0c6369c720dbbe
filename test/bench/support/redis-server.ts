import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from '../../support/until.js';

/** A Redis of its own for a comparison: random port, private directory, its writes in an append-only file. */
export interface RedisServer extends AsyncDisposable {
  readonly client: Redis;
  /** On 127.0.0.1, for clients in other processes. */
  readonly port: number;
  readonly version: string;
}

/** Starts Redis, installed from Debian's packages when it is missing and that is allowed; says why when there is none. */
export async function startRedis(): Promise<RedisServer | undefined> {
  const version = installedVersion() ?? (install() ? installedVersion() : undefined);
  if (version === undefined) {
    console.log('Redis: left out; there is no redis-server on PATH, and it could not be installed by apt-get');
    return undefined;
  }
  const directory = await mkdtemp(join(tmpdir(), 'bench-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'yes'];
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  process.once('exit', () => child.kill('SIGKILL'));
  // Until it listens, connections are refused: the client tries again by itself, and the error is no news.
  const client = new Redis({ port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNREFUSED') throw error;
  });
  await until(() => client.ping(), { what: 'Redis to answer', timeoutMs: 10_000 });
  return {
    client,
    port,
    version,
    async [Symbol.asyncDispose]() {
      client.disconnect();
      child.kill();
      await exited;
      await rm(directory, { recursive: true });
    },
  };
}

function installedVersion(): string | undefined {
  const { stdout, status } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return status === 0 ? /v=(\S+)/.exec(stdout)?.[1] : undefined;
}

function install(): boolean {
  if (process.getuid?.() !== 0) return false;
  console.log('Redis: installing redis-server by apt-get …');
  return (
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], { stdio: 'ignore' }).status === 0
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
