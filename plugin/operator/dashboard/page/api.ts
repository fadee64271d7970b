/** Requests to the server that this page came from. */
import type { HeatMatrix } from '../heat-matrix.ts';

export interface SessionInfo {
  readonly right: 'read' | 'operate';
}

export class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class Api {
  /** Sent with every change: a page of another site does not know it. */
  #csrfToken = '';

  async get<T>(path: string): Promise<T> {
    return (await (await answered(await fetch(path))).json()) as T;
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Foreshard-Csrf': this.#csrfToken },
      body: JSON.stringify(body),
    });
    return (await (await answered(response)).json()) as T;
  }

  /** The session that this browser still has; null without one. */
  async currentSession(): Promise<SessionInfo | null> {
    try {
      return this.#remembered(await this.get('/api/session'));
    } catch (error) {
      if (error instanceof RequestError && error.status === 401) return null;
      throw error;
    }
  }

  async logIn(token: string): Promise<SessionInfo> {
    return this.#remembered(await this.post('/api/login', { token }));
  }

  async heat(range: Readonly<Record<string, number>>): Promise<HeatMatrix> {
    const query = new URLSearchParams(Object.entries(range).map(([name, value]) => [name, String(value)]));
    const response = await answered(await fetch(`/api/heat?${query}`));
    const shape = JSON.parse(response.headers.get('X-Foreshard-Heat') ?? '{}') as Omit<HeatMatrix, 'levels'>;
    return { ...shape, levels: new Uint8Array(await response.arrayBuffer()) };
  }

  #remembered({ csrfToken, ...session }: SessionInfo & { readonly csrfToken: string }): SessionInfo {
    this.#csrfToken = csrfToken;
    return session;
  }
}

/** @throws RequestError with what the server says. */
async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  const body = (await response.json().catch(() => ({}))) as { error?: string };
  throw new RequestError(response.status, body.error ?? `the server answered ${response.status}`);
}
