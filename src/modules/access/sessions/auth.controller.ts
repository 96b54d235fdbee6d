import { Body, Get, Patch, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  Answers,
  Audited,
  credentialsOf,
  CurrentPrincipal,
  Public,
  RestController,
  Roles,
  UnauthenticatedError,
  type UserPrincipal,
} from '../../../core/index.js';
import {
  loginBody,
  passwordBody,
  profileAnswer,
  profileBody,
  refreshBody,
  toProfileAnswer,
  tokensAnswer,
  toTokensAnswer,
  type LoginBody,
  type PasswordBody,
  type ProfileAnswer,
  type ProfileBody,
  type RefreshBody,
  type TokensAnswer,
} from './auth.dto.js';
import { LoginService } from './login.service.js';
import { ProfileService } from './profile.service.js';
import { RefreshCookie } from './refresh-cookie.js';
import { SessionsService } from './sessions.service.js';

@RestController('auth')
export class AuthController {
  constructor(
    private readonly logins: LoginService,
    private readonly sessions: SessionsService,
    private readonly profiles: ProfileService,
    private readonly cookie: RefreshCookie,
  ) {}

  @Public()
  @Post('login')
  @Answers(200, 'Signs in with e-mail address and password', tokensAnswer)
  async login(
    @Body({ schema: loginBody }) { email, password, session }: LoginBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TokensAnswer> {
    const inCookie = session === 'cookie';
    if (inCookie) this.cookie.refuseForeign(request);
    const pair = await this.logins.login(email, password, originOf(request));
    if (inCookie) this.cookie.write(request, reply, pair.refreshToken);
    return toTokensAnswer(pair, inCookie);
  }

  @Public()
  @Post('refresh')
  @Answers(200, 'Swaps a refresh token, from the body or the cookie, for a new pair', tokensAnswer)
  async refresh(
    @Body({ schema: refreshBody }) { refreshToken }: RefreshBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TokensAnswer> {
    if (refreshToken !== undefined) {
      return toTokensAnswer(await this.sessions.refresh(refreshToken, originOf(request)), false);
    }
    const token = this.cookie.read(request);
    if (token === null) throw new UnauthenticatedError('a refresh token is required');
    const pair = await this.sessions.refresh(token, originOf(request)).catch((error: unknown) => {
      if (error instanceof UnauthenticatedError) this.cookie.clear(request, reply);
      throw error;
    });
    this.cookie.write(request, reply, pair.refreshToken);
    return toTokensAnswer(pair, true);
  }

  @Roles('user')
  @Post('logout')
  @Audited('auth.logout', { kind: 'security' })
  @Answers(204, 'Ends this session')
  async logout(
    @CurrentPrincipal() caller: UserPrincipal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.sessions.end(credentialsOf(request.headers).bearer ?? '', caller.id);
    this.cookie.clear(request, reply);
  }

  @Roles('user')
  @Post('logout-all')
  @Audited('auth.logoutAll', { kind: 'security' })
  @Answers(204, "Ends all of the caller's sessions")
  async logoutAll(
    @CurrentPrincipal() caller: UserPrincipal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.sessions.endAll(caller.id, credentialsOf(request.headers).bearer);
    this.cookie.clear(request, reply);
  }

  @Roles('user')
  @Get('me')
  @Answers(200, "The caller's own profile", profileAnswer)
  async me(@CurrentPrincipal() caller: UserPrincipal): Promise<ProfileAnswer> {
    return toProfileAnswer(await this.profiles.get(caller));
  }

  @Roles('user')
  @Patch('me')
  @Answers(200, "Changes the caller's own profile", profileAnswer)
  async updateMe(
    @CurrentPrincipal() caller: UserPrincipal,
    @Body({ schema: profileBody }) body: ProfileBody,
    @Req() { ip }: FastifyRequest,
  ): Promise<ProfileAnswer> {
    return toProfileAnswer(await this.profiles.update(caller, body, ip));
  }

  @Roles('user')
  @Post('password')
  @Audited('auth.password', { kind: 'security' })
  @Answers(200, "Sets a new password and ends the caller's other sessions", profileAnswer)
  async password(
    @CurrentPrincipal() caller: UserPrincipal,
    @Body({ schema: passwordBody }) { currentPassword, newPassword }: PasswordBody,
    @Req() { ip }: FastifyRequest,
  ): Promise<ProfileAnswer> {
    return toProfileAnswer(await this.profiles.changePassword(caller, currentPassword, newPassword, ip));
  }
}

function originOf({ ip, id }: FastifyRequest): { ip: string; requestId: string } {
  return { ip, requestId: id };
}
