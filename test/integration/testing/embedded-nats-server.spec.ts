import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EmbeddedNatsServer, EmbeddedServerError } from 'nestjs-jetstream-flow/testing';
import { hasOpenssl, makeCertificates } from '../../support/certificates.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

async function publishOne(server: EmbeddedNatsServer): Promise<void> {
  await using nats = await connectForTest(server);
  const manager = await jetstreamManager(nats);
  await manager.streams.add({ name: 'KEPT', subjects: ['kept'] });
  await jetstream(nats).publish('kept', 'message');
}

async function messagesKept(server: EmbeddedNatsServer): Promise<number> {
  await using nats = await connectForTest(server);
  const manager = await jetstreamManager(nats);
  return (await manager.streams.info('KEPT')).state.messages;
}

describe('EmbeddedNatsServer', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('runs two servers side by side, each with its own port and store', async () => {
    await using first = await EmbeddedNatsServer.start();
    await using second = await EmbeddedNatsServer.start();
    expect(first.port).not.toBe(second.port);
    await publishOne(first);
    expect(await messagesKept(first)).toBe(1);
    await expect(messagesKept(second)).rejects.toThrow('stream not found');
  });

  it('removes the process and the private directory when it stops', async () => {
    const server = await EmbeddedNatsServer.start();
    const { pid, storeDir } = server;
    await publishOne(server);
    expect(existsSync(storeDir!)).toBe(true);
    await server.stop();
    await server.stop();
    expect(isAlive(pid!)).toBe(false);
    expect(server.pid).toBeUndefined();
    expect(existsSync(storeDir!)).toBe(false);
    await expect(server.restart()).rejects.toThrow('was stopped');
  });

  it('keeps port and store over kill and restart', async () => {
    await using server = await EmbeddedNatsServer.start();
    await publishOne(server);
    const { port, pid } = server;
    await server.kill();
    expect(server.pid).toBeUndefined();
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await messagesKept(server)).toBe(1);
    await server.restart();
    expect(await messagesKept(server)).toBe(1);
  });

  it("keeps the caller's store directory and finds its content again", async () => {
    const storeDir = await mkdtemp(join(tmpdir(), 'flow-store-'));
    try {
      {
        await using server = await EmbeddedNatsServer.start({ storeDir });
        await publishOne(server);
      }
      await using again = await EmbeddedNatsServer.start({ storeDir });
      expect(await messagesKept(again)).toBe(1);
    } finally {
      await rm(storeDir, { recursive: true });
    }
  });

  it('passes arguments on and can do without JetStream', async () => {
    await using server = await EmbeddedNatsServer.start({ jetstream: false, args: ['--user', 'u', '--pass', 'p'] });
    await expect(connectForTest(server)).rejects.toThrow(/authorization/i);
    await using nats = await connectForTest(server, { user: 'u', pass: 'p' });
    expect(nats.info?.jetstream ?? false).toBe(false);
  });

  it('comes up, and again, with TLS before its first word', async (context) => {
    context.skip(!(await hasOpenssl()), 'openssl is needed to make certificates');
    await using usual = await EmbeddedNatsServer.start({ jetstream: false });
    needsServer(context, usual, '2.10.4', 'handshake_first');
    const directory = await mkdtemp(join(tmpdir(), 'flow-tls-'));
    try {
      const { caFile, certFile, keyFile } = await makeCertificates(directory, 'first');
      const config = join(directory, 'server.conf');
      await writeFile(config, `tls { cert_file: "${certFile}", key_file: "${keyFile}", handshake_first: true }`);
      await using server = await EmbeddedNatsServer.start({ args: ['-c', config], startTimeout: '10s' });
      expect(server.version).toBe(usual.version);
      await server.kill();
      await server.restart();
      await using nats = await connectForTest(server, { tls: { caFile, handshakeFirst: true } });
      expect(nats.info).toMatchObject({ version: usual.version, tls_required: true });
      vi.stubEnv('NATS_URL', server.url);
      expect((await EmbeddedNatsServer.start()).version).toBe(usual.version);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('says what the server said when it does not come up', async () => {
    await using taken = await EmbeddedNatsServer.start();
    const failure = EmbeddedNatsServer.start({ port: taken.port });
    await expect(failure).rejects.toBeInstanceOf(EmbeddedServerError);
    await expect(failure).rejects.toThrow(/address already in use/);
  });

  it('names every option that is wrong', async () => {
    await expect(EmbeddedNatsServer.start({ port: 0, version: 'newest' })).rejects.toThrow(/port[^]*version/);
  });

  it('does not outlive a parent that is killed with SIGKILL', async (context) => {
    context.skip(process.platform === 'win32', 'the watcher is a shell script');
    const script = `
      import { EmbeddedNatsServer } from './lib/testing/index.ts';
      const server = await EmbeddedNatsServer.start();
      console.log(JSON.stringify({ pid: server.pid, storeDir: server.storeDir }));
      setInterval(() => {}, 1000);`;
    const args = ['--import', '@swc-node/register/esm-register', '--input-type=module', '-e', script];
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve) => parent.stdout.once('data', (data) => resolve(String(data))));
    const { pid, storeDir } = JSON.parse(line) as { pid: number; storeDir: string };
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until(() => !isAlive(pid) && !existsSync(storeDir), { what: 'the server to be gone' });
  });

  it('uses the server of NATS_URL, and leaves it alone', async () => {
    await using running = await EmbeddedNatsServer.start();
    vi.stubEnv('NATS_URL', running.url);
    const warned = once(process, 'warning');
    const server = await EmbeddedNatsServer.start();
    const [warning] = (await warned) as [NodeJS.ErrnoException];
    expect([warning.code, warning.message]).toEqual(['FLOW_NATS_URL', expect.stringContaining(String(running.port))]);
    expect([server.url, server.pid, server.version]).toEqual([running.url, undefined, running.version]);
    await expect(server.kill()).rejects.toThrow('NATS_URL');
    await expect(server.restart()).rejects.toThrow('NATS_URL');
    await expect(EmbeddedNatsServer.start({ args: ['-D'] })).rejects.toThrow('cannot be given args');
    await server.stop();
    await publishOne(running);
  });
});
