import { z } from 'zod';

/** HTML's definition of an e-mail address: linear to match, and a host without a dot is one (`admin@localhost`). */
const PATTERN =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** Compared without regard to case, so it is kept in lower case. */
export const emailAddress = z.string().max(254).regex(PATTERN, 'must be an e-mail address').toLowerCase();
