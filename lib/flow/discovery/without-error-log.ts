import type { ExternalContextCreator } from '@nestjs/core';

/** What Nest makes of the exception filters of a method. */
interface FilterHandler {
  /** What the filter that takes the error gives; `undefined` when there is none. */
  invokeCustomFilters(error: unknown, host: unknown): unknown;
}

interface FilterContext {
  create(...args: unknown[]): FilterHandler;
}

/** Where Nest's creator keeps it; a unit test asks the installed Nest. */
const FILTERS = 'filtersContextCreator';

/**
 * Nest logs each error that no filter takes, as an error with its stack and without the step; the runner logs it too,
 * with the step, the run, and what comes of it. This is `external` without Nest's line: an error that no filter takes
 * comes out as `undefined`. Of a Nest that is built otherwise both lines remain.
 */
export function withoutErrorLog(external: ExternalContextCreator): ExternalContextCreator {
  const filters: unknown = Reflect.get(external, FILTERS);
  if (!isFilterContext(filters)) return external;
  const create = (...args: unknown[]): object => {
    const handler = filters.create(...args);
    return { next: (error: unknown, host: unknown) => handler.invokeCustomFilters(error, host) };
  };
  return Object.create(external, { [FILTERS]: { value: { create } } }) as ExternalContextCreator;
}

function isFilterContext(value: unknown): value is FilterContext {
  return typeof value === 'object' && value !== null && 'create' in value && typeof value.create === 'function';
}
