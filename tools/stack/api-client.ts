/**
 * The public API as a program uses it: signs in through the development Hub like a browser would, keeps the cookie, and
 * sends what the dashboard sends. For `npm start` and the end-to-end tests.
 */
import { randomUUID } from "node:crypto";
import type { ErrorBody } from "../../schema/errors.ts";
import { IDEMPOTENCY_HEADER, type Page } from "../../schema/api.ts";
import type { LiveFrame, LiveMessage } from "../../schema/live.ts";
import { ReadCounter } from "../../schema/live-window.ts";

const LIMIT_MS = 30_000;

/** A refused request: what the fields said, or the error body's sentence. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly body: ErrorBody;
  constructor(request: string, status: number, body: ErrorBody) {
    const faults = Object.values((body.details?.["fields"] ?? {}) as Record<string, string>);
    super(`${request}: ${faults.length > 0 ? faults.join("; ") : body.error}`);
    this.status = status;
    this.body = body;
  }
}

export interface Person {
  readonly name?: string;
  readonly email?: string;
  readonly role?: string;
  readonly tenant?: string;
}

export class ApiClient {
  readonly url: string;
  #cookie = "";

  constructor(url: string) {
    this.url = url;
  }

  /** The address that signs a browser in with one click. */
  static signInLink(url: string, secret: string, person: Person = {}): string {
    const query = new URLSearchParams({ secret, ...person });
    return `${url}/dev/hub/sign-in?${query.toString()}`;
  }

  async signIn(secret: string, person: Person = {}): Promise<void> {
    let next: string | null = ApiClient.signInLink(this.url, secret, person);
    for (let step = 0; next !== null && step < 3; step++) {
      const response: Response = await fetch(next, {
        redirect: "manual",
        headers: this.headers(),
        ...limit(),
      });
      await response.arrayBuffer();
      this.#keepCookies(response);
      const location: string | null = response.headers.get("location");
      if (response.status >= 400)
        throw new Error(`Cannot sign in: the development Hub answered ${response.status}`);
      next = location === null || location === "/" ? null : new URL(location, this.url).href;
    }
  }

  get<Answer>(path: string): Promise<Answer> {
    return this.#send<Answer>("GET", path, undefined);
  }

  /** `idempotencyKey`: the same again for the same wish, when nobody knows whether it arrived. */
  post<Answer>(path: string, body: unknown = {}, idempotencyKey: string = randomUUID()): Promise<Answer> {
    return this.#send<Answer>("POST", path, body, { [IDEMPOTENCY_HEADER]: idempotencyKey });
  }

  patch<Answer>(path: string, body: unknown): Promise<Answer> {
    return this.#send<Answer>("PATCH", path, body);
  }

  /** A file, as it is downloaded. */
  async download(path: string): Promise<Uint8Array> {
    const response = await fetch(this.url + path, { headers: this.headers(), ...limit() });
    if (!response.ok) throw new ApiError(`GET ${path}`, response.status, errorOf(await response.text()));
    return await response.bytes();
  }

  /** Comes to an address of ours from another site, as a browser that is sent back; resolves with where it is sent next. */
  async comeBack(path: string): Promise<string | null> {
    const headers = { cookie: this.#cookie, "sec-fetch-site": "cross-site" };
    const response = await fetch(this.url + path, { redirect: "manual", headers, ...limit() });
    await response.arrayBuffer();
    return response.headers.get("location");
  }

  /** All items of a list, page by page. */
  async list<Item>(path: string): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | null = null;
    do {
      const separator = path.includes("?") ? "&" : "?";
      const page: Page<Item> = await this.get(cursor === null ? path : `${path}${separator}cursor=${cursor}`);
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return items;
  }

  /** Watches a job live; `closed` resolves when the socket ends for whatever reason. */
  watch(jobId: string, hear: (message: LiveMessage) => void): { close: () => void; closed: Promise<void> } {
    const address = `${this.url.replace(/^http/, "ws")}/api/live?job=${jobId}`;
    // Node's WebSocket takes headers as a third way to say its options (undici).
    const options = { headers: this.headers() } as unknown as string[];
    const socket = new WebSocket(address, options);
    const read = new ReadCounter();
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "string") return;
      const word = read.count(data);
      if (word !== null) socket.send(word);
      for (const message of JSON.parse(data) as LiveFrame) hear(message);
    });
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    socket.addEventListener("close", () => resolve());
    socket.addEventListener("error", () => resolve());
    return { close: () => socket.close(), closed };
  }

  async #send<Answer>(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...this.headers(),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      ...limit(),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiError(`${method} ${path}`, response.status, errorOf(text));
    return (text === "" ? undefined : JSON.parse(text)) as Answer;
  }

  /** What says who is asking. */
  headers(): Record<string, string> {
    return { origin: this.url, cookie: this.#cookie };
  }

  #keepCookies(response: Response): void {
    const cookies = new Map(this.#cookie.split("; ").filter(Boolean).map(splitCookie));
    for (const header of response.headers.getSetCookie()) {
      const [name, value] = splitCookie(header.split(";")[0] ?? "");
      if (value === "") cookies.delete(name);
      else cookies.set(name, value);
    }
    this.#cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join("; ");
  }
}

function splitCookie(pair: string): [name: string, value: string] {
  const equals = pair.indexOf("=");
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

function errorOf(text: string): ErrorBody {
  try {
    return JSON.parse(text) as ErrorBody;
  } catch {
    return {
      error: "The server answered with something else than JSON",
      code: "INTERNAL_ERROR",
      details: null,
    };
  }
}

function limit(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(LIMIT_MS) };
}
