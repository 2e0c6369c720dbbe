/** A process that adds to a counter and takes ids: arguments url, rounds. Tells the ids it got. */
import { makeCounter } from '../../../../lib/coordination/counter/make-counter.js';
import { makeIdGenerator } from '../../../../lib/coordination/id-generator/make-id-generator.js';
import { openRoom } from './coordination-fixture.js';

const [url = '', rounds = '0'] = process.argv.slice(2);
await using opened = await openRoom(url);
const counter = makeCounter(opened.room, { name: 'visits', parts: 3 });
const generator = makeIdGenerator(opened.room, { name: 'orders', block: 50 });
const ids: number[] = [];
await Promise.all(
  Array.from({ length: 8 }, async () => {
    for (let round = 0; round < Number(rounds); round++) {
      await counter.add('home');
      ids.push(await generator.next('o'));
    }
  }),
);
process.stdout.write(JSON.stringify(ids));
