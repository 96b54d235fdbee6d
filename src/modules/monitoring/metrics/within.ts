/**
 * What `work` answers, if it does so in time; the work itself is not stopped.
 * @throws Error when the time is over, and whatever `work` throws
 */
export async function withinMs<T>(deadlineMs: number, work: () => Promise<T> | T): Promise<T> {
  const answer = work();
  if (!(answer instanceof Promise)) return answer;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
