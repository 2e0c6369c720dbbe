import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpException,
  HttpStatus,
  Param,
  ParseIntPipe,
  Post,
  Res,
  UseGuards,
} from '@nestjs/common';
import { ServerResponse } from 'node:http';
import { InjectRateLimiter, RateLimit, RateLimiter, RateLimitGuard } from 'nestjs-jetstream-flow';
import { apiKeyOf, UserId } from './client.js';
import { PAGES, READS } from './limits.js';

/** What a user gets to know of the pages that are left. */
export interface PagesLeft {
  readonly pages: number;
  readonly remaining: number;
  readonly resetAt: string;
}

@Controller('documents')
export class DocumentsController {
  constructor(@InjectRateLimiter(PAGES.name) private readonly pages: RateLimiter) {}

  /** Makes a document of so many pages. The limiter is asked by hand: who is asking, and what it costs, is in the body. */
  @Post()
  async create(
    @UserId() user: string,
    @Body('pages', ParseIntPipe) pages: number,
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<PagesLeft> {
    if (pages < 1 || pages > PAGES.limit) throw new BadRequestException(`pages is not from 1 to ${PAGES.limit}`);
    const { allowed, remaining, retryAfterMs, resetAt } = await this.pages.consume(user, { cost: pages });
    const left = { pages, remaining, resetAt: resetAt.toISOString() };
    if (allowed) return left;
    response.setHeader('Retry-After', Math.ceil(retryAfterMs / 1000));
    throw new HttpException({ ...left, message: `${remaining} pages are left` }, HttpStatus.TOO_MANY_REQUESTS);
  }

  /** Reads a document. The guard answers 429 itself, and puts the header fields of the IETF draft on every answer. */
  @Get(':id')
  @UseGuards(RateLimitGuard)
  @RateLimit(READS.name, { key: apiKeyOf })
  read(@Param('id') id: string): { readonly id: string } {
    return { id };
  }
}
