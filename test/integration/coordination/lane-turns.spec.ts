import { expect, it } from 'vitest';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { LaneTurns } from '../../../lib/coordination/rate-limiter/lane-turns.js';
import { useFlowServer } from '../../support/flow-server.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';

const at = useFlowServer();

async function openTurns(bucket: string): Promise<{ turns: LaneTurns; connection: FlowConnection } & AsyncDisposable> {
  const connection = await FlowConnection.connect({ servers: at.url }, silentLog);
  const turns = new LaneTurns(connection, bucket);
  turns.start();
  await connection.nats.flush();
  return {
    turns,
    connection,
    async [Symbol.asyncDispose]() {
      turns.close();
      await connection.close();
    },
  };
}

it('tells who wins that others lose, in that lane of that bucket only, until it is closed', async () => {
  await using loser = await openTurns('one');
  await using winner = await openTurns('one');
  await using closed = await openTurns('one');
  await using elsewhere = await openTurns('another');
  closed.turns.close();
  expect(winner.turns.isOthers('hot')).toBe(false);
  loser.turns.lost('hot');
  await until(() => winner.turns.isOthers('hot'), { what: 'the winner is told' });
  await Promise.all([closed, elsewhere].map(({ connection }) => connection.nats.flush()));
  expect([closed, elsewhere].map(({ turns }) => turns.isOthers('hot'))).toEqual([false, false]);
  expect(winner.turns.isOthers('cold')).toBe(false);
});

it('makes every change all the same, in its order, and tells what came of it', async () => {
  await using one = await openTurns('busy');
  one.turns.lost('hot');
  const made: number[] = [];
  for (let index = 0; index < 5; index++)
    expect(await one.turns.take('hot', () => Promise.resolve(made.push(index)))).toBe(index + 1);
  expect(made).toEqual([0, 1, 2, 3, 4]);
  const broken = new Error('broken');
  await expect(one.turns.take('hot', () => Promise.reject(broken))).rejects.toBe(broken);
});
