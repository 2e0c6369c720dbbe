import { createParamDecorator, UnauthorizedException, type ExecutionContext } from '@nestjs/common';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Parameter decorator: the user. Yours come from your authentication; here a header says it. */
export const UserId = createParamDecorator((_: unknown, context: ExecutionContext) => headerOf(context, 'x-user-id'));

/** Stands for the API key of a request. Limiters store their keys as they are, so they get none that is a secret. */
export function apiKeyOf(context: ExecutionContext): string {
  return createHash('sha256').update(headerOf(context, 'x-api-key')).digest('base64url');
}

function headerOf(context: ExecutionContext, name: string): string {
  const value = context.switchToHttp().getRequest<IncomingMessage>().headers[name];
  if (typeof value !== 'string') throw new UnauthorizedException(`The header ${name} is missing`);
  return value;
}
