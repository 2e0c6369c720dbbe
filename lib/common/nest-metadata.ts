/**
 * Metadata keys of Nest's own that have no public name. A unit test compares them with the installed Nest.
 */
export const NestMetadataKey = {
  /** On a class: an entry of its own into the application, so request-scoped global enhancers apply to it. */
  entryProvider: '__entryProvider__',
  /** On a class and method name: what parameter decorators asked for. */
  routeArguments: '__routeArguments__',
  /** On a method: the path of its HTTP route. */
  routePath: 'path',
  guards: '__guards__',
  interceptors: '__interceptors__',
  pipes: '__pipes__',
  exceptionFilters: '__exceptionFilters__',
} as const;
