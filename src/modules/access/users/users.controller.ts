import { Body, Delete, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { Answers, Fails, Audited, RestController, Roles, type Page } from '../../../core/index.js';
import {
  createUserBody,
  idParams,
  listQuery,
  toUserAnswer,
  updateUserBody,
  userAnswer,
  userPage,
  type CreateUserBody,
  type IdParams,
  type ListQuery,
  type UpdateUserBody,
  type UserAnswer,
} from './users.dto.js';
import { UsersService } from './users.service.js';

@Roles('admin')
@RestController('users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Get()
  @Audited('user.list', { kind: 'personalData' })
  @Answers(200, 'All users, in the order of their making', userPage)
  async list(@Query({ schema: listQuery }) { limit, cursor }: ListQuery): Promise<Page<UserAnswer>> {
    const { items, nextCursor } = await this.users.list(limit, cursor);
    return { items: items.map(toUserAnswer), nextCursor };
  }

  @Post()
  @Audited('user.create')
  @Answers(201, 'Makes a user who signs in with a password', userAnswer)
  @Fails(409, 'CONFLICT: the e-mail address is taken')
  async create(@Body({ schema: createUserBody }) body: CreateUserBody): Promise<UserAnswer> {
    return toUserAnswer(await this.users.create(body));
  }

  @Get(':id')
  @Audited('user.read', { kind: 'personalData', target: 'id' })
  @Answers(200, 'One user', userAnswer)
  async show(@Param({ schema: idParams }) { id }: IdParams): Promise<UserAnswer> {
    return toUserAnswer(await this.users.get(id));
  }

  @Patch(':id')
  @Audited('user.update', { target: 'id' })
  @Answers(200, 'Changes a user; a new password or `active: false` ends all sessions', userAnswer)
  @Fails(
    409,
    'CONFLICT: the e-mail address is taken; LAST_ADMIN: nobody would be left to administer; EXTERNAL_USER: another issuer decides',
  )
  async update(
    @Param({ schema: idParams }) { id }: IdParams,
    @Body({ schema: updateUserBody }) body: UpdateUserBody,
  ): Promise<UserAnswer> {
    return toUserAnswer(await this.users.update(id, body));
  }

  @Delete(':id')
  @Audited('user.delete', { target: 'id' })
  @Answers(204, 'Removes a user and ends all sessions; the audit log keeps the id')
  @Fails(409, 'LAST_ADMIN: nobody would be left to administer')
  remove(@Param({ schema: idParams }) { id }: IdParams): Promise<void> {
    return this.users.remove(id);
  }
}
