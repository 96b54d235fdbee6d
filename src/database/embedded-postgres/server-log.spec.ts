import { pickComplaint } from './server-log.js';

const line = (pid: number, text: string) => `2026-01-02 03:04:05.678 UTC [${pid}] ${text}`;

describe(pickComplaint.name, () => {
  it('is the last fatal line of the process, without its prefix', () => {
    const log = [line(7, 'FATAL:  the first'), line(7, 'FATAL:  the last'), line(7, 'LOG:  shut down'), ''];
    expect(pickComplaint(log.join('\n'), 7)).toBe('the last');
  });

  it('is not that of another server which tries the same at the same time', () => {
    const log = [line(7, 'FATAL:  no memory'), line(8, 'FATAL:  lock file "postmaster.pid" already exists')];
    expect(pickComplaint(log.join('\n'), 7)).toBe('no memory');
  });

  it('may be unsigned, as long as the server has not read its settings', () => {
    expect(pickComplaint('postgres: could not find a function\n', 7)).toBe(
      'postgres: could not find a function',
    );
    expect(pickComplaint('', 7)).toBe('it said nothing');
  });
});
