import { describe, expect, it } from 'vitest';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { FlowBoot } from '../../../lib/flow/flow-boot.js';
import { FlowResources } from '../../../lib/flow/flow-resources.js';
import { gate } from '../../support/gate.js';
import { recordingLog } from '../../support/log.js';

class Opened {
  closed = 0;

  async close(): Promise<void> {
    this.closed += 1;
    await Promise.resolve();
  }
}

describe('FlowBoot', () => {
  it('leaves everything open when all parts succeed', async () => {
    const [boot, one] = [new FlowBoot(), new Opened()];
    await boot.opens(one);
    expect(await boot.part(() => 'done')).toBe('done');
    expect(boot.signal.aborted).toBe(false);
    expect(one.closed).toBe(0);
  });

  it('closes what every part has opened before it tells that one failed, and ends waits', async () => {
    const [boot, one, two] = [new FlowBoot(), new Opened(), new Opened()];
    await Promise.all([boot.opens(one), boot.opens(two)]);
    const failure = new Error('no such bucket');
    const failing = boot
      .part(() => Promise.reject(failure))
      .finally(() => expect([one.closed, two.closed]).toEqual([1, 1]));
    await expect(failing).rejects.toBe(failure);
    expect(boot.signal.reason).toBe(failure);
  });

  it('closes at once what is opened after a part has failed', async () => {
    const [boot, late] = [new FlowBoot(), new Opened()];
    await boot.abandon();
    await boot.opens(late);
    expect(late.closed).toBe(1);
  });
});

describe('FlowResources', () => {
  /** Resources whose connection only takes notes, and the notes. */
  function make(): { resources: FlowResources; notes: string[]; log: ReturnType<typeof recordingLog> } {
    const [notes, log] = [[] as string[], recordingLog()];
    const connection = { close: () => Promise.resolve(void notes.push('connection')) } as unknown as FlowConnection;
    return { resources: new FlowResources(connection, log), notes, log };
  }

  it('closes users, then what they use, then the connection, once', async () => {
    const { resources, notes } = make();
    const store = gate();
    resources.add({ close: () => store.opened.then(() => void notes.push('store')) });
    resources.addUser({ close: () => Promise.resolve(void notes.push('worker')).then(() => store.open()) });
    await Promise.all([resources.close(), resources.close()]);
    expect(notes).toEqual(['worker', 'store', 'connection']);
  });

  it('goes on when something cannot be closed, and logs it', async () => {
    const { resources, notes, log } = make();
    resources.addUser({ close: () => Promise.reject(new Error('stuck worker')) });
    resources.add({
      close: () => {
        throw new Error('stuck store');
      },
    });
    await resources.close();
    expect(notes).toEqual(['connection']);
    expect(log.messages('error')).toEqual([
      expect.stringContaining('stuck worker'),
      expect.stringContaining('stuck store'),
    ]);
  });

  it('makes what is shared once for each owner, also when it cannot be made', async () => {
    const { resources } = make();
    let made = 0;
    const create = (): Promise<Opened> => Promise.resolve(new Opened()).finally(() => (made += 1));
    const [owner, other] = [{}, {}];
    const [one, same, another] = await Promise.all([
      resources.share(owner, create),
      resources.share(owner, create),
      resources.share(other, create),
    ]);
    expect(same).toBe(one);
    expect(another).not.toBe(one);
    expect(made).toBe(2);
    await resources.close();
    expect([one.closed, another.closed]).toEqual([1, 1]);

    const broken = {};
    const fail = (): Promise<Opened> => Promise.reject(new Error(`attempt ${(made += 1)}`));
    await expect(resources.share(broken, fail)).rejects.toThrow('attempt 3');
    await expect(resources.share(broken, fail)).rejects.toThrow('attempt 3');
  });
});
