/**
 * One instance of the API. Any number of them share the limits.
 *
 *     NATS_URL=nats://127.0.0.1:4222 PORT=3000 node --import @swc-node/register/esm-register sample/02-rate-limited-api/main.ts
 */
import { NestFactory } from '@nestjs/core';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.js';

const app = await NestFactory.create(AppModule, { bufferLogs: true, return503OnClosing: true });
app.useLogger(app.get(Logger));
// On SIGTERM and SIGINT: answers what has come in and refuses the rest, then closes the connection to NATS, then ends.
app.enableShutdownHooks();
await app.listen(process.env.PORT ?? 3000);

// The demo starts instances as child processes: they tell it where they listen, and end with it.
process.send?.(await app.getUrl());
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
