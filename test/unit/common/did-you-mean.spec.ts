import { expect, it } from 'vitest';
import { closestName, didYouMean } from '../../../lib/common/did-you-mean.js';

const names = ['price', 'charge', 'review', 'confirm', 'after'];

it.each([
  ['prise', 'price'],
  ['Charge', 'charge'],
  ['chrage', 'charge'],
  ['confrim', 'confirm'],
  ['reviews', 'review'],
  ['afetr', 'after'],
])('takes "%s" for "%s"', (name, meant) => {
  expect(closestName(name, names)).toBe(meant);
});

it.each(['ship', 'x', 'discharged-from'])('takes "%s" for none', (name) => {
  expect(closestName(name, names)).toBeUndefined();
  expect(didYouMean(name, names)).toBe('');
});

it('prefers the closest, and of equals the first', () => {
  expect(closestName('cat', ['cut', 'cats', 'cat'])).toBe('cat');
  expect(closestName('cot', ['cat', 'cut'])).toBe('cat');
});
