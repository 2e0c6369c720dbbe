import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../../scripts/closing-line.mjs', import.meta.url));

describe('the closing line', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flow-closing-'));
    await mkdir(join(directory, 'temp'));
    const statuses = ['passed', 'passed', 'skipped'];
    await leave('tests', {
      testResults: [{ status: 'passed', assertionResults: statuses.map((status) => ({ status })) }],
    });
    await leave('type-tests', { failed: [] });
    await leave('checks', { failed: [] });
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  /** What a part of the run leaves behind. */
  function leave(what: string, content: unknown): Promise<void> {
    return writeFile(join(directory, 'temp', `${what}.json`), JSON.stringify(content));
  }

  /** @param codes exit codes of tests, checks and demo */
  function closingLine(...codes: number[]): { lines: string[]; status: number | null } {
    const { stdout, status } = spawnSync(process.execPath, [SCRIPT, ...codes.map(String)], {
      cwd: directory,
      encoding: 'utf8',
    });
    return { lines: stdout.trimEnd().split('\n'), status };
  }

  it('counts the tests and succeeds when all went well', () => {
    expect(closingLine(0, 0, 0)).toEqual({ lines: ['2 passed, 0 failed, 1 skipped'], status: 0 });
  });

  it('counts and names what failed', async () => {
    await leave('checks', { failed: ['lint', 'types'] });
    expect(closingLine(0, 1, 0)).toEqual({
      lines: ['failed: lint', 'failed: types', '2 passed, 2 failed, 1 skipped'],
      status: 1,
    });
    expect(closingLine(0, 1, 1)).toEqual({
      lines: ['failed: lint', 'failed: types', 'failed: demo', '2 passed, 3 failed, 1 skipped'],
      status: 1,
    });
  });

  it('counts what ended without a word', async () => {
    expect(closingLine(0, 0, 137)).toEqual({ lines: ['failed: demo', '2 passed, 1 failed, 1 skipped'], status: 1 });
    expect(closingLine(1, 1, 0)).toEqual({ lines: ['2 passed, 2 failed, 1 skipped'], status: 1 });
  });
});
