import { NestFactory } from '@nestjs/core';
import { Command, Option } from 'commander';
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import type { Env } from '../config/env.js';
import type { Resources } from '../app/resources.js';
import { CoreModule, ROLES, TIERS, ValidationFailedError, type Role, type Tier } from '../core/index.js';
import { AccessModule, emailAddress, newPassword, UsersService, type User } from '../modules/access/index.js';
import { withResources } from './with-database.js';

interface AddOptions {
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly passwordStdin?: boolean;
}

/** `vigia user`: for the first administrator, and for the day nobody can sign in. */
export function userCommand(): Command {
  return new Command('user')
    .description('manage users without signing in')
    .addCommand(addCommand())
    .addCommand(new Command('list').description('list users').action(() => withUsers(list)))
    .addCommand(passwordCommand())
    .addCommand(roleCommand());
}

function addCommand(): Command {
  return new Command('add')
    .description('make a user; prints a generated password unless one is given')
    .argument('<email>')
    .requiredOption('--name <name>')
    .addOption(new Option('--role <role>').choices(ROLES).default('user'))
    .addOption(new Option('--tier <tier>').choices(TIERS).default('free'))
    .option('--password-stdin', 'read the password from standard input')
    .action((email: string, options: AddOptions) => withUsers((users) => add(users, email, options)));
}

function passwordCommand(): Command {
  return new Command('password')
    .description('set a password and end the sessions of that user')
    .argument('<email>')
    .option('--password-stdin', 'read the password from standard input')
    .action((email: string, { passwordStdin }: { passwordStdin?: boolean }) =>
      withUsers(async (users) => {
        const { password, shown } = await choosePassword(passwordStdin);
        await users.setPassword((await users.getByEmail(checkedEmail(email))).id, password);
        print(`${email} has a new password${shown}`);
      }),
    );
}

function roleCommand(): Command {
  return new Command('role')
    .description('set the role of a user')
    .argument('<email>')
    .addArgument(new Command().createArgument('<role>').choices(ROLES))
    .action((email: string, role: Role) =>
      withUsers(async (users) => {
        await users.setRole((await users.getByEmail(checkedEmail(email))).id, role);
        print(`${email} is now ${role}`);
      }),
    );
}

async function add(
  users: UsersService,
  email: string,
  { name, role, tier, passwordStdin }: AddOptions,
): Promise<void> {
  const { password, shown } = await choosePassword(passwordStdin);
  const user = await users.create({ email: checkedEmail(email), name, role, tier, password });
  print(`${user.role} ${user.email} made${shown}`);
}

async function list(users: UsersService): Promise<void> {
  for (let cursor: string | undefined; ;) {
    const page = await users.list(1000, cursor);
    for (const user of page.items) print(lineOf(user));
    if (!page.nextCursor) return;
    cursor = page.nextCursor;
  }
}

function lineOf({ email, role, tier, active, name }: User): string {
  return [email, role, tier, active ? 'active' : 'inactive', name].join('\t');
}

async function choosePassword(fromStdin: boolean | undefined): Promise<{ password: string; shown: string }> {
  if (fromStdin) return { password: checked(newPassword, (await text(process.stdin)).trimEnd()), shown: '' };
  const password = randomBytes(15).toString('base64url');
  return { password, shown: `, password ${password}` };
}

function checkedEmail(email: string): string {
  return checked(emailAddress, email);
}

function checked(schema: typeof emailAddress, value: string): string {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ValidationFailedError(result.error.issues.map(({ message }) => ({ path: '', message })));
}

async function withUsers(work: (users: UsersService) => Promise<void>): Promise<void> {
  await withResources(async (resources, env) => {
    const context = await NestFactory.createApplicationContext(userCommandModule(resources, env), {
      logger: ['error', 'warn'],
      abortOnError: false,
    });
    try {
      await work(context.get(UsersService));
    } finally {
      await context.close();
    }
  });
}

/** What the commands need of the application; on a new database it makes the first administrator as a start would. */
export function userCommandModule(
  { databaseUrl, jwtSecret }: Pick<Resources, 'databaseUrl' | 'jwtSecret'>,
  { ADMIN_EMAIL: email, ADMIN_PASSWORD: password }: Pick<Env, 'ADMIN_EMAIL' | 'ADMIN_PASSWORD'>,
) {
  class UserCommandModule {}
  return {
    module: UserCommandModule,
    imports: [
      CoreModule.forRoot({ database: { url: databaseUrl, poolMax: 2 }, runJobs: false }),
      AccessModule.forRoot({
        jwtSecret: Buffer.from(jwtSecret),
        admin: { ...(email && { email }), ...(password && { password }) },
        background: false,
        onAdminCreated: (email, password) => print(`first administrator ${email}, password ${password}`),
      }),
    ],
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
