import { readFileSync } from 'node:fs';

/** The text of a file in the `data` folder of the npm package vega-datasets. */
export function readDataFile(name: string): string {
  // The package exports its entry only; the data lies beside it.
  const entry = import.meta.resolve('vega-datasets');
  return readFileSync(new URL(`../data/${name}`, entry), 'utf8');
}
