import { Controller, HttpCode, HttpStatus, Post } from '@nestjs/common';
import { MailService } from './mail.service.js';

@Controller('mails')
export class MailsController {
  constructor(private readonly mails: MailService) {}

  @Post()
  @HttpCode(HttpStatus.ACCEPTED)
  send(): Promise<void> {
    return this.mails.send();
  }
}
