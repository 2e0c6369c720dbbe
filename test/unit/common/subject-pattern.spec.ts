import { expect, it } from 'vitest';
import { externalSubjectProblem } from '../../../lib/common/subject-pattern.js';

it.each(['orders', 'orders.created', 'orders.*.created', 'orders.>', 'ä.ö', 'flows.orders', 'a-b_c.d=e'])(
  'allows "%s"',
  (pattern) => {
    expect(externalSubjectProblem(pattern)).toBeUndefined();
  },
);

it.each([
  ['', 'is empty'],
  ['a b', 'white space'],
  ['a\u0000', 'control characters'],
  ['.a', 'empty token'],
  ['a..b', 'empty token'],
  ['a.b*', 'inside a token'],
  ['a.>>', 'inside a token'],
  ['a.>.b', 'before its end'],
  ['$JS.API', 'server reserves'],
  ['flow.orders.step', '"flow."'],
  ['flow_event.orders', '"flow_event."'],
  ['_INBOX.x', '"_INBOX."'],
  ['>', 'covers reserved subjects'],
  ['*.created', 'covers reserved subjects'],
])('refuses "%s": %s', (pattern, reason) => {
  expect(externalSubjectProblem(pattern)).toContain(reason);
});
