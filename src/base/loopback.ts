/** Only this machine can reach it. Names other than localhost are not looked up: what they mean may change. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
