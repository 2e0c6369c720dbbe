import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EmbeddedNatsServer, EmbeddedServerError, resolveServerBinary } from 'nestjs-jetstream-flow/testing';
import { needsOldServer } from '../../support/old-server.js';

/** A file that answers `--version` as nats-server does. */
async function fakeBinary(directory: string, version: string): Promise<string> {
  const path = join(directory, 'nats-server');
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

describe('resolveServerBinary', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flow-binary-'));
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true });
  });

  it('prefers NATS_SERVER_BIN to the PATH', async () => {
    vi.stubEnv('PATH', `${directory}:${process.env.PATH}`);
    const path = await fakeBinary(directory, '9.8.7');
    const chosen = process.env.NATS_SERVER_BIN!;
    expect((await resolveServerBinary()).path).toBe(chosen);
    vi.stubEnv('NATS_SERVER_BIN', '');
    expect(await resolveServerBinary()).toEqual({ path, version: '9.8.7', source: 'PATH' });
  });

  it('does not replace a chosen binary by another one', async () => {
    vi.stubEnv('NATS_SERVER_BIN', join(directory, 'absent'));
    await expect(resolveServerBinary()).rejects.toBeInstanceOf(EmbeddedServerError);
    await expect(resolveServerBinary()).rejects.toThrow(/NATS_SERVER_BIN: .*absent is no executable file/);
  });

  it('looks for a version by its start, first in the variable of that version', async () => {
    const path = await fakeBinary(directory, '9.80.1');
    vi.stubEnv('NATS_SERVER_BIN_9_80', path);
    expect((await resolveServerBinary({ version: '9.80' })).path).toBe(path);
    vi.stubEnv('NATS_SERVER_BIN_9_8', path);
    vi.stubEnv('XDG_CACHE_HOME', directory);
    // Without programs there is nothing to obtain a server with.
    vi.stubEnv('PATH', directory);
    const failure = resolveServerBinary({ version: '9.8' });
    await expect(failure).rejects.toThrow(/NATS_SERVER_BIN_9_8: .* is 9\.80\.1/);
    await expect(failure).rejects.toThrow(/Debian's package: .*apt-get/);
  });

  it('starts a server of another version beside the default one', async (context) => {
    needsOldServer(context);
    await using old = await EmbeddedNatsServer.start({ version: '2.9' });
    await using usual = await EmbeddedNatsServer.start();
    expect(old.version).toMatch(/^2\.9\./);
    expect(usual.port).not.toBe(old.port);
  });
});
