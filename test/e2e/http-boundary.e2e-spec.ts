import { Get, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { CoreModule, Public, RestController, Roles } from '../../src/core/index.js';

@RestController('guarded')
class GuardedController {
  @Public()
  @Post('open')
  open(): object {
    return { ok: true };
  }

  @Roles('viewer')
  @Get('closed')
  closed(): object {
    return { ok: true };
  }
}

@RestController('forgotten')
class ForgottenController {
  @Get()
  handler(): object {
    return { ok: true };
  }
}

@Module({ imports: [CoreModule.forRoot()], controllers: [GuardedController] })
class ForeignApp {}

@Module({ imports: [CoreModule.forRoot()], controllers: [ForgottenController] })
class ForgetfulApp {}

const start = (module: new () => object) =>
  NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), {
    logger: false,
    abortOnError: false,
  });

describe('Vigia’s routes in somebody else’s application', () => {
  let app: NestFastifyApplication;
  beforeAll(async () => {
    app = await start(ForeignApp);
    await app.init();
  });
  afterAll(() => app.close());

  it('refuse every call that needs a credential until an authenticator is given', async () => {
    const answer = await app.inject({
      method: 'GET',
      url: '/guarded/closed',
      headers: { authorization: 'Bearer anything' },
    });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([401, 'UNAUTHENTICATED']);
  });

  it('answer faults of the input as problem documents there too', async () => {
    const answer = await app.inject({ method: 'POST', url: '/guarded/open', payload: { x: 1 } });
    expect([answer.statusCode, answer.headers['content-type'], answer.json<{ code: string }>().code]).toEqual(
      [400, expect.stringContaining('application/problem+json'), 'VALIDATION_FAILED'],
    );
  });

  it('do not start when one of them says nothing of who may call it', async () => {
    const forgetful = await start(ForgetfulApp);
    await expect(forgetful.init()).rejects.toThrow(
      'ForgottenController.handler says neither @Roles nor @Public',
    );
    await forgetful.close();
  });
});
