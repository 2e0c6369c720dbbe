import { Module } from '@nestjs/common';
import { ThrottlerModule } from '@nestjs/throttler';
import { LoggerModule } from 'nestjs-pino';
import { Coordination, FlowModule, flowOptionsFromEnv } from 'nestjs-jetstream-flow';
import { flowLogger } from 'nestjs-jetstream-flow/pino';
import { FlowThrottlerStorage } from 'nestjs-jetstream-flow/throttler';
import { apiKeyOf } from './client.js';
import { DocumentsController } from './documents.controller.js';
import { MAILS, PAGES, READS, STATUS, TRANSLATIONS } from './limits.js';
import { MailService } from './mail.service.js';
import { MailsController } from './mails.controller.js';
import { StatusController } from './status.controller.js';
import { TranslationsController } from './translations.controller.js';

@Module({
  imports: [
    LoggerModule.forRoot(
      flowLogger({ pinoHttp: { level: process.env.LOG_LEVEL ?? 'info', redact: ['req.headers["x-api-key"]'] } }),
    ),
    // NATS_URL and its like say where the server is; without them it is the one on this machine.
    FlowModule.forRoot({ name: 'rate-limited-api', ...flowOptionsFromEnv() }),
    FlowModule.forFeature({ rateLimiters: [PAGES, READS, TRANSLATIONS, MAILS] }),
    ThrottlerModule.forRootAsync({
      inject: [Coordination],
      useFactory: (coordination: Coordination) => ({
        throttlers: [STATUS],
        getTracker: (_, context) => apiKeyOf(context),
        storage: new FlowThrottlerStorage(coordination),
      }),
    }),
  ],
  controllers: [DocumentsController, TranslationsController, MailsController, StatusController],
  providers: [MailService],
})
export class AppModule {}
