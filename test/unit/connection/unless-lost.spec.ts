import { describe, expect, it, vi } from 'vitest';
import { ConnectionError } from '../../../lib/common/errors.js';
import type { ConnectionStatus } from '../../../lib/connection/connection-monitor.js';
import { connectedAgain, unlessLost, type Losable } from '../../../lib/connection/unless-lost.js';

class Line implements Losable {
  status: ConnectionStatus = 'connected';
  readonly listeners = new Set<(status: ConnectionStatus) => void>();

  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  become(status: ConnectionStatus): void {
    this.status = status;
    for (const listener of this.listeners) listener(status);
  }

  lose(): void {
    this.become('disconnected');
  }
}

const never = (): Promise<never> => new Promise(() => undefined);

describe('unlessLost', () => {
  it('passes the answer or the error on, and listens no longer', async () => {
    const line = new Line();
    expect(await unlessLost(line, 'ask', () => Promise.resolve(7))).toBe(7);
    await expect(unlessLost(line, 'ask', () => Promise.reject(new RangeError('no')))).rejects.toThrow('no');
    const throws = (): never => {
      throw new RangeError('at once');
    };
    await expect(unlessLost(line, 'ask', throws)).rejects.toThrow('at once');
    expect(line.listeners.size).toBe(0);
  });

  it('fails as soon as the connection is lost', async () => {
    const line = new Line();
    const asked = unlessLost(line, 'ask', never);
    line.lose();
    await expect(asked).rejects.toThrow(ConnectionError);
    await expect(asked).rejects.toThrow('The connection was lost before the answer to: ask.');
    expect(line.listeners.size).toBe(0);
  });

  it('asks nothing without a connection', async () => {
    const line = new Line();
    line.lose();
    let asked = false;
    const ask = (): Promise<void> => {
      asked = true;
      return Promise.resolve();
    };
    await expect(unlessLost(line, 'ask', ask)).rejects.toThrow(ConnectionError);
    expect([asked, line.listeners.size]).toEqual([false, 0]);
  });
});

describe('connectedAgain', () => {
  it('ends with the loss, and at once when there is none', async () => {
    const line = new Line();
    await connectedAgain(line, 60_000);
    line.lose();
    const back = connectedAgain(line, 60_000);
    line.become('connected');
    await back;
    expect(line.listeners.size).toBe(0);
  });

  it('ends after its time', async () => {
    vi.useFakeTimers();
    try {
      const line = new Line();
      line.lose();
      const over = connectedAgain(line, 5_000);
      await vi.advanceTimersByTimeAsync(5_000);
      await over;
      expect(line.listeners.size).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
