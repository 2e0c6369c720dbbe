import {
  BadRequestException,
  Controller,
  Get,
  Injectable,
  Module,
  Param,
  ParseIntPipe,
  UseGuards,
  type ExecutionContext,
} from '@nestjs/common';
import { seconds, ThrottlerModule } from '@nestjs/throttler';
import {
  Coordination,
  flow,
  FlowModule,
  FlowStep,
  InjectRateLimiter,
  json,
  MemoryRateLimiter,
  RateLimit,
  RateLimitGuard,
  type RateLimiter,
} from 'nestjs-jetstream-flow';
import { FlowThrottlerStorage } from 'nestjs-jetstream-flow/throttler';

const userOf = (context: ExecutionContext): string =>
  context.switchToHttp().getRequest<{ user: { id: string } }>().user.id;

@Controller('search')
@UseGuards(RateLimitGuard)
export class SearchController {
  constructor(@InjectRateLimiter('exports') private readonly exports: RateLimiter) {}

  @Get()
  @RateLimit('api', { key: userOf })
  search(): string[] {
    return [];
  }

  @Get('export/:rows')
  async export(@Param('rows', ParseIntPipe) rows: number): Promise<string> {
    // A cost that can never be allowed is a mistake of ours: consume() would throw.
    if (rows < 1 || rows > this.exports.capacity) throw new BadRequestException('Too many rows');
    const { allowed, retryAfterMs } = await this.exports.consume('all', { cost: rows });
    return allowed ? 'here it is' : `come back in ${retryAfterMs} ms`;
  }
}

@Module({
  imports: [
    FlowModule.forFeature({
      rateLimiters: [
        { name: 'api', limit: 100, window: '1m', burst: 20 },
        {
          name: 'exports',
          limits: [
            { name: 'minute', limit: 1_000, window: '1m' },
            { name: 'day', limit: 50_000, window: '1d', algorithm: 'fixed-window' },
          ],
          onStoreError: new MemoryRateLimiter({ limit: 100, window: '1m' }),
        },
      ],
    }),
  ],
  controllers: [SearchController],
})
export class SearchModule {}

@Injectable()
export class Mailer {
  constructor(private readonly coordination: Coordination) {}

  async send(address: string): Promise<void> {
    const limiter = this.coordination.rateLimiter('mails', { limit: 10, window: '1s' });
    await limiter.waitFor('smtp', { signal: AbortSignal.timeout(30_000) });
    console.log('mail to', address);
  }
}

interface Call {
  readonly host: string;
}

export const Calls = flow('calls', { input: json<Call>('Call') });

@Injectable()
export class CallFlow {
  @FlowStep({ flow: Calls, rate: { limit: 5, window: '1s', key: ({ host }: Call) => host } })
  call({ host }: Call): void {
    console.log('calling', host);
  }
}

@Module({
  imports: [
    ThrottlerModule.forRootAsync({
      inject: [Coordination],
      useFactory: (coordination: Coordination) => ({
        throttlers: [{ ttl: seconds(60), limit: 10 }],
        storage: new FlowThrottlerStorage(coordination),
      }),
    }),
  ],
})
export class ThrottledModule {}
