import { HttpException, HttpStatus } from '@nestjs/common';
import type { RateLimitDecision } from '../rate-limiter/rate-limit-decision.js';
import { retryAfterSeconds } from './rate-limit-headers.js';

/** Thrown by `RateLimitGuard` for HTTP: 429, the header fields are set by then. Catch it in a filter for another body. */
export class RateLimitException extends HttpException {
  constructor(
    /** Name of the limiter that denied the request. */
    readonly limiter: string,
    readonly decision: RateLimitDecision,
  ) {
    const seconds = retryAfterSeconds(decision);
    super(
      {
        statusCode: HttpStatus.TOO_MANY_REQUESTS,
        error: 'Too Many Requests',
        message: `Rate limit exceeded. Try again in ${seconds} s.`,
      },
      HttpStatus.TOO_MANY_REQUESTS,
    );
  }
}
