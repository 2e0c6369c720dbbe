/** A process in which boots fail, one after the other, and that must end by itself. Arguments: URL, names of boots. */
import 'reflect-metadata';
import { FlowTestApp } from '../../../../lib/testing/index.js';
import { FAILING_BOOTS } from './failing-boots.js';

const [url = '', nobody = '', ...names] = process.argv.slice(2);
for (const name of names) {
  const boot = FAILING_BOOTS[name];
  if (boot === undefined) throw new Error(`There is no boot "${name}"`);
  try {
    await FlowTestApp.start(() => boot.module({ one: url, two: url, nobody }), { server: { url }, logger: false });
    console.log(`${name}: booted`);
  } catch (error) {
    console.log(`${name}: ${boot.says.test(String(error)) ? 'failed' : String(error)}`);
  }
}
