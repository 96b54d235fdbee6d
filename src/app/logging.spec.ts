import { Writable } from 'node:stream';
import { pino } from 'pino';
import { loggerOptions } from './logging.js';

function logged(log: (logger: pino.Logger) => void): string {
  let text = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  log(pino(loggerOptions('trace'), sink));
  return text;
}

describe('the log', () => {
  it('is one JSON object a line, whatever comes in', () => {
    const hostile = 'a\r\n{"level":"fatal","msg":"forged"}\n\u001b[31mred\u2028\u0000';
    const text = logged((log) => log.info({ agent: hostile }, hostile));
    const lines = text.split('\n').filter(Boolean);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', agent: hostile, msg: hostile });
    expect(text).not.toContain('\u001b');
  });

  it.each(['password', 'authorization', 'refreshToken', 'x-api-key', 'secret'])(
    'shows no %s, up to two levels deep',
    (name) => {
      const text = logged((log) =>
        log.info({ [name]: 'hunter2', a: { [name]: 'hunter2', b: { [name]: 'hunter2' } } }),
      );
      expect(text).not.toContain('hunter2');
      expect(text).toContain('[redacted]');
    },
  );

  it('shows of a database error its code, not the row that it failed on', () => {
    const error = Object.assign(new Error('violates check constraint "ck"'), {
      code: '23514',
      constraint: 'ck',
      detail: 'Failing row contains (ann@example.com, $argon2id$hunter2)',
      where: 'hunter2',
    });
    const text = logged((log) => log.error({ err: error }, 'request failed'));
    expect(text).toContain('23514');
    expect(text).not.toMatch(/hunter2|ann@example/);
  });
});
