import { Catch, Injectable, UseFilters, UseGuards, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { expect, it } from 'vitest';
import {
  ConfigurationError,
  fixed,
  flow,
  FlowClient,
  FlowModule,
  flowRequestOf,
  FlowStep,
  json,
  RateLimit,
  RateLimitedError,
  RateLimitGuard,
  RunFailedError,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const at = useFlowServer();
const Text = json<string>('Text');
const contract = (name: string) => flow(name, { input: Text, output: Text });
const Keyed = contract('keyed');
const Keyless = contract('keyless');
const ONCE = fixed(1, { attempts: 1 });

/** Keeps what guards and steps throw. */
@Catch()
@Injectable()
class Thrown implements ExceptionFilter {
  readonly errors: unknown[] = [];

  catch(error: unknown, _host: ArgumentsHost): never {
    this.errors.push(error);
    throw error;
  }
}

@UseGuards(RateLimitGuard)
@UseFilters(Thrown)
class LimitedSteps {
  readonly calls: string[] = [];

  @FlowStep({ flow: Keyed, retry: ONCE })
  @RateLimit('steps', { key: (context) => String(flowRequestOf(context)?.ctx.metadata['tenant']) })
  keyed(text: string): string {
    this.calls.push(text);
    return text;
  }

  @FlowStep({ flow: Keyless, retry: ONCE })
  @RateLimit('steps')
  keyless(text: string): string {
    this.calls.push(text);
    return text;
  }
}

async function start() {
  const rateLimiters = [{ name: 'steps', limit: 1, window: '1h' }] as const;
  const app = await startFlowApp(at.url, [LimitedSteps, Thrown], {}, [FlowModule.forFeature({ rateLimiters })]);
  return { app, client: app.get(FlowClient), steps: app.get(LimitedSteps), thrown: app.get(Thrown) };
}

it('denies a step by the key of its message, with an error that says when to come again', async () => {
  const { app, client, steps, thrown } = await start();
  const run = (text: string, tenant: string) => client.start(Keyed, text, { metadata: { tenant } });
  expect(await (await run('first', 'a')).result()).toBe('first');
  await expect((await run('second', 'a')).result()).rejects.toThrow(RunFailedError);
  expect(await (await run('third', 'b')).result()).toBe('third');
  expect(steps.calls).toEqual(['first', 'third']);
  expect(thrown.errors).toHaveLength(1);
  const [error] = thrown.errors;
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).toMatchObject({ limiter: 'steps', code: 'RATE_LIMITED' });
  expect((error as RateLimitedError).retryAfterMs).toBeGreaterThan(1_000);
  expect((error as RateLimitedError).retryAfterMs).toBeLessThanOrEqual(3_600_000);
  await app.close();
});

it('asks for a key where there is no address of a client', async () => {
  const { app, client, steps, thrown } = await start();
  const failed = (await client.start(Keyless, 'text')).result();
  await expect(failed).rejects.toThrow(RunFailedError);
  expect(steps.calls).toEqual([]);
  const [error] = thrown.errors;
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as Error).message).toContain('@RateLimit on LimitedSteps.keyless');
  expect((error as Error).message).toContain('it is not called over HTTP: give a key');
  await app.close();
});
