/**
 * The agent's HTTP requests to the control plane: registration and grants. One request each; who waits and tries again
 * is decided by the caller, from the three ways it can end: the answer, a refusal with its code, or no answer.
 */
import * as z from "zod";
import {
  agentRegistered,
  onlyPaths,
  type AgentRegister,
  type AgentRegistered,
  type GrantRequest,
  type OnlyPaths,
  type QuarantineReport,
} from "../schema/api.ts";
import { grant, type Grant } from "../schema/connector.ts";
import { errorBody } from "../schema/errors.ts";
import type { AgentConfig } from "./config.ts";
import type { Platform } from "./platform.ts";

export const REQUEST_LIMIT_MS = 30_000;
/** No answer to an agent is anywhere near this. */
const ANSWER_CHARACTERS_MAX = 1024 * 1024;

/** The control plane answered, with a no. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** No answer that came from the control plane: no network, no time, a proxy's page. */
export class ApiUnreachable extends Error {
  override readonly name = "ApiUnreachable";
}

/** Exchanges a registration code for a key. */
export async function register(
  platform: Platform,
  url: string,
  request: AgentRegister,
  signal: AbortSignal,
): Promise<AgentRegistered> {
  const { body } = await post(platform, { url: `${url}/api/agent/register`, key: null, request }, signal);
  return parseAnswer(agentRegistered, body);
}

/** Asks for a job's grant. `serverNowMs` is the control plane's clock, by which the grant's times are meant. */
export async function requestGrant(
  platform: Platform,
  config: AgentConfig,
  request: GrantRequest,
  signal: AbortSignal,
): Promise<{ grant: Grant; serverNowMs: number }> {
  const url = `${config.url}/api/agent/grants`;
  const { body, date } = await post(platform, { url, key: config.key, request }, signal);
  const parsedDate = date === null ? Number.NaN : Date.parse(date);
  return {
    grant: parseAnswer(grant, body),
    serverNowMs: Number.isNaN(parsedDate) ? platform.clock.now() : parsedDate,
  };
}

/** Asks for a page of the files that failed in the epoch before. */
export async function requestOnlyPaths(
  platform: Platform,
  config: AgentConfig,
  { jobId, epoch, after }: { jobId: string; epoch: number; after: number },
  signal: AbortSignal,
): Promise<OnlyPaths> {
  const query = new URLSearchParams({ epoch: String(epoch), after: String(after) });
  const url = `${config.url}/api/agent/jobs/${jobId}/only?${query}`;
  const { body } = await send(platform, { method: "GET", url, key: config.key }, signal);
  return parseAnswer(onlyPaths, body);
}

/** Tells how the quarantine of a finished job stands. */
export async function reportQuarantine(
  platform: Platform,
  config: AgentConfig,
  { jobId, ...told }: QuarantineReport & { readonly jobId: string },
  signal: AbortSignal,
): Promise<void> {
  const url = `${config.url}/api/agent/jobs/${jobId}/quarantine`;
  await post(platform, { url, key: config.key, request: told }, signal);
}

async function post(
  platform: Platform,
  request: { url: string; key: string | null; request: unknown },
  signal: AbortSignal,
): Promise<{ body: unknown; date: string | null }> {
  return await send(platform, { method: "POST", ...request }, signal);
}

async function send(
  platform: Platform,
  {
    method,
    url,
    key,
    request,
  }: { method: "GET" | "POST"; url: string; key: string | null; request?: unknown },
  signal: AbortSignal,
): Promise<{ body: unknown; date: string | null }> {
  const limit = new AbortController();
  // Rejects when the answer was quicker, which is the usual case.
  platform.clock.sleep(REQUEST_LIMIT_MS, limit.signal).then(
    () => limit.abort(new Error("no answer in time")),
    () => undefined,
  );
  try {
    const response = await platform.fetch(url, {
      method,
      headers: {
        ...(request === undefined ? {} : { "Content-Type": "application/json" }),
        ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
      },
      ...(request === undefined ? {} : { body: JSON.stringify(request) }),
      // A redirect would carry the key elsewhere.
      redirect: "manual",
      signal: AbortSignal.any([signal, limit.signal]),
    });
    const text = await response.text();
    const body = parseJson(text);
    if (response.ok) return { body, date: response.headers.get("Date") };
    const refused = errorBody.safeParse(body);
    if (refused.success) throw new ApiRefusal(response.status, refused.data.code, refused.data.error);
    throw new ApiUnreachable(
      `${new URL(url).host} answered with status ${response.status}, which is not from the control plane`,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApiRefusal || error instanceof ApiUnreachable) throw error;
    const reason = limit.signal.aborted
      ? "no answer in time"
      : error instanceof Error
        ? error.message
        : String(error);
    throw new ApiUnreachable(`Cannot reach ${new URL(url).host}: ${reason}`, { cause: error });
  } finally {
    limit.abort();
  }
}

function parseJson(text: string): unknown {
  if (text.length > ANSWER_CHARACTERS_MAX) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseAnswer<Shape extends z.ZodType>(shape: Shape, body: unknown): z.infer<Shape> {
  const parsed = shape.safeParse(body);
  // What is wrong with it stays unsaid: the answer holds a secret.
  if (!parsed.success)
    throw new ApiUnreachable("The control plane's answer is not what this agent understands");
  return parsed.data;
}
