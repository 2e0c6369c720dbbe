import type { Params } from 'nestjs-pino';
import { ConfigurationError } from '../common/errors.js';
import { flowLogMixin } from './flow-log-mixin.js';

/**
 * Parameters for nestjs-pino's `LoggerModule.forRoot`, with which every line written inside a step says which:
 *
 * ```ts
 * @Module({ imports: [LoggerModule.forRoot(flowLogger({ pinoHttp: { level: 'debug' } }))] })
 * export class AppModule {}
 *
 * const app = await NestFactory.createApplicationContext(AppModule, { bufferLogs: true });
 * app.useLogger(app.get(Logger));
 * ```
 *
 * The fields are those of {@link flowLogMixin}. They are found by the call chain, so they are on the lines of Nest's
 * logger, of `PinoLogger` and of everything else that logs through it, without passing anything on. An application
 * without HTTP works as well as one with it.
 *
 * @param params your own parameters; everything in them stays in force, `pinoHttp.mixin` too
 * @throws ConfigurationError when `pinoHttp.logger` is a logger made elsewhere: pino takes no mixin for it any more
 */
export function flowLogger(params: Params = {}): Params {
  return { ...params, pinoHttp: withMixin(params.pinoHttp ?? {}) };
}

type PinoHttp = NonNullable<Params['pinoHttp']>;
type PinoHttpPair = Extract<PinoHttp, readonly unknown[]>;
type PinoHttpOptions = PinoHttpPair[0];
type Destination = PinoHttpPair[1];

function withMixin(pinoHttp: PinoHttp): PinoHttp {
  if (Array.isArray(pinoHttp)) return [addMixin(pinoHttp[0]), pinoHttp[1]];
  if (isDestination(pinoHttp)) return [addMixin({}), pinoHttp];
  return addMixin(pinoHttp);
}

function isDestination(pinoHttp: PinoHttpOptions | Destination): pinoHttp is Destination {
  return 'write' in pinoHttp && typeof pinoHttp.write === 'function';
}

function addMixin(options: PinoHttpOptions): PinoHttpOptions {
  if (options.logger !== undefined) {
    throw new ConfigurationError('flowLogger()', [
      'pinoHttp.logger: a logger that exists already takes no further fields. ' +
        'Make it with pino({ mixin: flowLogMixin() }) and give it to LoggerModule.forRoot directly.',
    ]);
  }
  return { ...options, mixin: flowLogMixin(options.mixin) };
}
