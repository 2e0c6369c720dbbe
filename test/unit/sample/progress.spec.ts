import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startProgress } from '../../../sample/01-flight-delays/demo/progress.js';

/** A stream that keeps what is written to it, as a terminal or as a file. */
function outputOf(kind: 'terminal' | 'file'): { stream: PassThrough & { isTTY?: boolean }; text: () => string } {
  const stream: PassThrough & { isTTY?: boolean } = new PassThrough();
  if (kind === 'terminal') stream.isTTY = true;
  let text = '';
  stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { stream, text: () => text };
}

describe('the progress of the demo', () => {
  it('is a bar at a terminal, with what is said above it, and gives the cursor back', () => {
    const { stream, text } = outputOf('terminal');
    {
      using progress = startProgress('folded', 200, stream);
      progress.update(50);
      progress.say('worker 1 was killed');
      progress.update(150);
    }
    const last = text().lastIndexOf('worker 1 was killed\n');
    expect(last).toBeGreaterThan(-1);
    const lines = stripVTControlCharacters(text()).trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^folded █{30}░{10} 75 % of 200, \d+s$/);
    expect(text()).toContain('\u001b[?25l');
    expect(text().lastIndexOf('\u001b[?25h')).toBeGreaterThan(last);
  });

  it('is a line for every tenth elsewhere, without any control characters', () => {
    const { stream, text } = outputOf('file');
    {
      using progress = startProgress('folded', 200, stream);
      for (const value of [5, 25, 26, 110]) progress.update(value);
      progress.say('worker 1 was killed');
      for (const value of [110, 200, 200]) progress.update(value);
    }
    expect(text()).toBe(
      'folded 25 of 200 (10 %)\nfolded 110 of 200 (50 %)\nworker 1 was killed\nfolded 200 of 200 (100 %)\n',
    );
  });
});
