import 'reflect-metadata';
import * as nest from '@nestjs/common/internal';
import { expect, it } from 'vitest';
import { NestMetadataKey } from '../../../lib/common/nest-metadata.js';

it('knows the metadata keys of the installed Nest', () => {
  expect(NestMetadataKey).toEqual({
    entryProvider: nest.ENTRY_PROVIDER_WATERMARK,
    routeArguments: nest.ROUTE_ARGS_METADATA,
    routePath: nest.PATH_METADATA,
    guards: nest.GUARDS_METADATA,
    interceptors: nest.INTERCEPTORS_METADATA,
    pipes: nest.PIPES_METADATA,
    exceptionFilters: nest.EXCEPTION_FILTERS_METADATA,
  });
  expect(nest.RouteParamtypes.BODY).toBe(3);
});
