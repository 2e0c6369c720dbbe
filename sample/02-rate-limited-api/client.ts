import { createParamDecorator, UnauthorizedException, type ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';

/** Parameter decorator: the user. Yours come from your authentication; here a header says it. */
export const UserId = createParamDecorator((_: unknown, context: ExecutionContext) => headerOf(context, 'x-user-id'));

/** The API key that a request has. */
export function apiKeyOf(context: ExecutionContext): string {
  return headerOf(context, 'x-api-key');
}

function headerOf(context: ExecutionContext, name: string): string {
  const value = context.switchToHttp().getRequest<IncomingMessage>().headers[name];
  if (typeof value !== 'string') throw new UnauthorizedException(`The header ${name} is missing`);
  return value;
}
