/**
 * The way to a server, step by step: name, connection, proxy, TLS. Hides sockets; promises that whatever is in the way is
 * told by the step at which it was met, and that nothing is waited for after the signal.
 *
 * The agent itself takes these steps inside `fetch`, which only says that it failed.
 */

export interface Proxy {
  readonly hostname: string;
  readonly port: number;
  /** The value of `Proxy-Authorization`; null without a name in the address. */
  readonly authorization: string | null;
}

export interface Target {
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly proxy: Proxy | null;
}

/** Where it stopped. `refused`: a proxy's no. */
export type Obstacle =
  | { readonly step: "name"; readonly hostname: string }
  | { readonly step: "connection"; readonly hostname: string; readonly port: number; readonly reason: string }
  | { readonly step: "refused"; readonly status: number; readonly schemes: readonly string[] }
  | { readonly step: "tls"; readonly reason: string; readonly certificate: Certificate | null }
  | { readonly step: "answer"; readonly reason: string };

/** What the other end shows of itself, proved or not. */
export interface Certificate {
  readonly subject: string;
  readonly issuer: string;
  readonly validTo: string;
}

export class ObstacleError extends Error {
  override readonly name = "ObstacleError";
  readonly obstacle: Obstacle;
  constructor(obstacle: Obstacle) {
    super(`Stopped at the step "${obstacle.step}"`);
    this.obstacle = obstacle;
  }
}

export interface RawAnswer {
  readonly status: number;
  header(name: string): string | null;
  readonly body: string;
}

/** All throw {@link ObstacleError}, or the signal's reason. */
export interface NetworkProbe {
  resolve(hostname: string, signal: AbortSignal): Promise<readonly string[]>;
  /** A connection to the proxy, if there is one, or to the server; no more. */
  connect(target: Target, signal: AbortSignal): Promise<void>;
  /** The proxy lets us through to the server. */
  tunnel(target: Target, signal: AbortSignal): Promise<void>;
  /** The server is trusted, by what the agent trusts; its certificate. */
  secure(target: Target, signal: AbortSignal): Promise<Certificate | null>;
  /** One GET with these fields, `Upgrade` included, which `fetch` does not send. */
  get(
    target: Target,
    request: { readonly path: string; readonly fields: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<RawAnswer>;
}
