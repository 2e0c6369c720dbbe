import { ConfigurationError } from './errors.js';

/**
 * A decorator in the form that Nest is built on, which refuses the other one: compilers call the same source
 * differently, and without this what it writes would land nowhere, and nothing would be found at boot.
 *
 * @param name as users write it, for the error
 */
export function experimentalDecorator<D extends (...args: never[]) => unknown>(name: string, decorate: D): D {
  const guarded = (...args: Parameters<D>): unknown => {
    const context: unknown = args[1];
    if (typeof context === 'object' && context !== null && 'kind' in context) throw notExperimental(name, context);
    return decorate(...args);
  };
  return guarded as D;
}

function notExperimental(name: string, context: object): ConfigurationError {
  const on = 'name' in context ? ` on "${String(context.name)}"` : '';
  return new ConfigurationError(`@${name}${on}`, [
    'it was compiled as a standard (TC39) decorator, which Nest does not know. Set "experimentalDecorators": true and ' +
      '"emitDecoratorMetadata": true under "compilerOptions" in tsconfig.json; with SWC "legacyDecorator": true and ' +
      '"decoratorMetadata": true under "jsc.transform" in .swcrc. Does the tool that runs the code read that file?',
  ]);
}
