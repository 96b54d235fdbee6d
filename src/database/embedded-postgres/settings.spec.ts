import { asArguments, serverSettings } from './settings.js';

describe(serverSettings.name, () => {
  it('lets the caller change what is tuned, but not where the server listens', async () => {
    const extra = { work_mem: '1MB', port: '5432', listen_addresses: '*', unix_socket_directories: '/tmp' };
    expect(await serverSettings(21344, extra)).toMatchObject({
      work_mem: '1MB',
      port: '21344',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
    });
  });
});

describe(asArguments.name, () => {
  it('gives each setting as one argument, which no shell will see', () => {
    expect(asArguments({ a: "it's", b: '' })).toEqual(['-c', "a=it's", '-c', 'b=']);
  });
});
