import { ConflictError, UnauthenticatedError, VigiaError } from '../../core/index.js';

/** The change would leave nobody who may administer Vigia. */
export class LastAdminError extends ConflictError {
  constructor() {
    super('this is the last active administrator; make somebody else one first', 'LAST_ADMIN');
  }
}

export class EmailTakenError extends ConflictError {
  constructor(cause?: unknown) {
    super('a user with this e-mail address exists already', 'CONFLICT', { cause });
  }
}

/** The account belongs to another issuer, so its address and password are changed there. */
export class ExternalUserError extends ConflictError {
  constructor() {
    super(
      'this account is kept by an external issuer, which holds its e-mail address and password',
      'EXTERNAL_USER',
    );
  }
}

/** One text for every reason, so that nobody learns which accounts exist. */
export class WrongCredentialsError extends UnauthenticatedError {
  constructor() {
    super('the e-mail address or the password is wrong');
  }
}

export class WrongPasswordError extends UnauthenticatedError {
  constructor() {
    super('the current password is wrong');
  }
}

/** Our own lack of capacity, which is no fault of the caller's. */
export class OverloadedError extends VigiaError {
  constructor() {
    super(503, 'OVERLOADED', 'too many sign-ins at this moment; try again shortly', {
      extra: { retryAfterMs: 1_000 },
    });
  }
}
