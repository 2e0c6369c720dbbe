import { Controller, Get, UseGuards } from '@nestjs/common';
import { ThrottlerGuard } from '@nestjs/throttler';

/** As in an application that has @nestjs/throttler already: nothing here knows where requests are counted. */
@Controller('status')
@UseGuards(ThrottlerGuard)
export class StatusController {
  @Get()
  status(): { readonly up: boolean } {
    return { up: true };
  }
}
