import { Controller, Post, UseGuards } from '@nestjs/common';
import { RateLimit, RateLimitGuard } from 'nestjs-jetstream-flow';
import { apiKeyOf } from './client.js';
import { TRANSLATIONS } from './limits.js';

/** Every route of the class is limited, by second and by day. */
@Controller('translations')
@UseGuards(RateLimitGuard)
@RateLimit(TRANSLATIONS.name, { key: apiKeyOf })
export class TranslationsController {
  @Post()
  translate(): { readonly text: string } {
    return { text: 'Guten Tag' };
  }
}
