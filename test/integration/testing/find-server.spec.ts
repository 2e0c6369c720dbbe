import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Runs the script as the set-up of the demos does. */
function findServer(env: Record<string, string>): Promise<{ stdout: string; stderr: string }> {
  const args = ['--import', '@swc-node/register/esm-register', 'scripts/find-server.ts'];
  return promisify(execFile)(process.execPath, args, { cwd: ROOT, env: { ...process.env, NATS_URL: '', ...env } });
}

describe('the set-up of a server', () => {
  it('says in one line which server is used', async () => {
    const path = process.env.NATS_SERVER_BIN!;
    const { stdout } = await findServer({});
    expect(stdout).toMatch(/^nats-server \d+\.\d+\.\d+\S* from NATS_SERVER_BIN: .+\n$/);
    expect(stdout).toContain(path);
  });

  it('leaves a running one as it is', async () => {
    const { stdout } = await findServer({ NATS_URL: 'nats://127.0.0.1:1', NATS_SERVER_BIN: '/absent' });
    expect(stdout).toBe('nats-server: the running one of NATS_URL, nats://127.0.0.1:1\n');
  });

  it('fails with the choices when there is none', async () => {
    const failure = findServer({ NATS_SERVER_BIN: '/absent' });
    await expect(failure).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/NATS_SERVER_BIN: \/absent is no executable file[^]*set NATS_URL/) as string,
    });
  });
});
