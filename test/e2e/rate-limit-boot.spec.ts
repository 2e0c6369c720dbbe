import {
  Controller,
  Get,
  Injectable,
  Module,
  Scope,
  UseGuards,
  type CanActivate,
  type INestApplication,
  type LoggerService,
  type ModuleMetadata,
} from '@nestjs/common';
import { APP_GUARD, HttpAdapterHost, ModuleRef, NestFactory } from '@nestjs/core';
import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  fixed,
  flow,
  FlowModule,
  FlowStep,
  json,
  RateLimit,
  RateLimitGuard,
} from 'nestjs-jetstream-flow';
import { useFlowServer } from '../support/flow-server.js';
import { recordingLog } from '../support/log.js';

const at = useFlowServer();
const Text = json<string>('Text');
const Limited = flow('limited', { input: Text, output: Text });
const key = (): string => 'all';

/** Lets everything pass; a guard of the user's, which may ask others. */
class Pass implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

@Injectable()
class OwnGuard extends RateLimitGuard {}

@Controller()
class Bare {
  @Get()
  @RateLimit('api', { key })
  get() {
    return 1;
  }
}

function moduleOf(metadata: ModuleMetadata) {
  const rateLimiters = [{ name: 'api', limit: 2, window: '1h' }] as const;
  @Module({ ...metadata, imports: [FlowModule.forRoot({ servers: at.url }), FlowModule.forFeature({ rateLimiters })] })
  class AppModule {}
  return AppModule;
}

/** An application that is ready for requests, and what it warned of until then. */
async function boot(metadata: ModuleMetadata, prepare = (_app: INestApplication): void => undefined) {
  const log = recordingLog();
  const app = await NestFactory.create(moduleOf(metadata), {
    logger: log satisfies LoggerService,
    abortOnError: false,
  });
  prepare(app);
  await app.init();
  return { app, warnings: () => log.messages('warn').filter((message) => message.includes('@RateLimit')) };
}

async function problemsOf(metadata: ModuleMetadata): Promise<readonly string[]> {
  const error: unknown = await boot(metadata).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigurationError);
  return (error as ConfigurationError).problems;
}

const UNGUARDED =
  'no guard stands before it, so nothing is limited; add @UseGuards(RateLimitGuard) to the method or its class, or provide ' +
  'RateLimitGuard as APP_GUARD';

describe('@RateLimit at boot', () => {
  it('is refused with every limiter that is not there, and says what was meant', async () => {
    @RateLimit('apii')
    @UseGuards(RateLimitGuard)
    @Controller()
    class Wrong {
      @Get()
      @RateLimit('nothing-like-it')
      get() {
        return 1;
      }
      @Get('elsewhere')
      @RateLimit('api', { connection: 'billing' })
      elsewhere() {
        return 2;
      }
    }
    const problems = await problemsOf({ controllers: [Wrong] });
    expect(problems).toHaveLength(3);
    expect(problems[0]).toMatch(/^Wrong: there is no rate limiter "apii"\. Did you mean "api"\?/);
    expect(problems[1]).toMatch(/^Wrong\.get: there is no rate limiter "nothing-like-it"\. Or import/);
    expect(problems[2]).toMatch(/^Wrong\.elsewhere: there is no connection "billing"/);
  });
});

describe('@RateLimit without a guard', () => {
  it('stops the boot, with everything else that is wrong', async () => {
    @Controller()
    @RateLimit('api', { key })
    class Mixed {
      @Get('bare')
      bare() {
        return 1;
      }
      @Get('own')
      @RateLimit('ap', { key })
      @RateLimit('api', { key })
      own() {
        return 2;
      }
      @Get('guarded')
      @UseGuards(RateLimitGuard)
      guarded() {
        return 3;
      }
      helper() {
        return 4;
      }
    }
    expect(await problemsOf({ controllers: [Mixed] })).toEqual([
      expect.stringMatching(/^Mixed\.own: there is no rate limiter "ap"/),
      `Mixed.bare: ${UNGUARDED}`,
      `Mixed.own: ${UNGUARDED}`,
    ]);
  });

  it('stops the boot also on a step', async () => {
    class Steps {
      @FlowStep({ flow: Limited, retry: fixed(1, { attempts: 1 }) })
      @RateLimit('api', { key })
      step(text: string): string {
        return text;
      }
    }
    expect(await problemsOf({ providers: [Steps] })).toEqual([`Steps.step: ${UNGUARDED}`]);
  });

  it('is none where the guard is on the method, on the class, inherited, or a class of its own', async () => {
    @Controller('one')
    class OnMethod {
      @Get()
      @RateLimit('api', { key })
      @UseGuards(RateLimitGuard)
      get() {
        return 1;
      }
    }
    @UseGuards(Pass, OwnGuard)
    class Base {
      @Get()
      @RateLimit('api', { key })
      get() {
        return 1;
      }
    }
    @Controller('two')
    class OnBase extends Base {}
    const { app, warnings } = await boot({ controllers: [OnMethod, OnBase] });
    expect(warnings()).toEqual([]);
    await app.close();
  });

  it.each([
    ['as APP_GUARD', { provide: APP_GUARD, useClass: RateLimitGuard }],
    ['as APP_GUARD of each request', { provide: APP_GUARD, useClass: OwnGuard, scope: Scope.REQUEST }],
  ])('is none where the guard is global: %s', async (_where, provider) => {
    const { app, warnings } = await boot({ controllers: [Bare], providers: [provider] });
    expect(warnings()).toEqual([]);
    await app.close();
  });

  it('is none where the application uses the guard globally', async () => {
    const { app, warnings } = await boot({ controllers: [Bare] }, (application) =>
      application.useGlobalGuards(new RateLimitGuard(application.get(ModuleRef), application.get(HttpAdapterHost))),
    );
    expect(warnings()).toEqual([]);
    await app.close();
  });

  it('is warned of once where another guard, or nobody known, may ask RateLimitGuard', async () => {
    class Resolvers {
      @RateLimit('api', { key })
      resolve(): number {
        return 1;
      }
    }
    @RateLimit('api', { key })
    class Gateway {
      message(): number {
        return 1;
      }
    }
    const { app, warnings } = await boot({
      controllers: [Bare],
      providers: [Resolvers, Gateway, { provide: APP_GUARD, useClass: Pass }],
    });
    expect(warnings()).toEqual([
      '@RateLimit may limit nothing on Bare.get, Resolvers.resolve, Gateway: RateLimitGuard is not among the guards that can be ' +
        'seen there; add @UseGuards(RateLimitGuard) to the method or its class, or provide RateLimitGuard as APP_GUARD, or let ' +
        'your own guard extend it',
    ]);
    await app.close();
  });

  it('does not matter to a process that serves no requests', async () => {
    const log = recordingLog();
    const app = await NestFactory.createApplicationContext(moduleOf({ controllers: [Bare] }), {
      logger: log,
      abortOnError: false,
    });
    expect(log.messages('warn')).toEqual([]);
    await app.close();
  });
});
