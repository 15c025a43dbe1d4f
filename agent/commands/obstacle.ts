/** What keeps the agent from the control plane just now: the first step on the way that fails, in words. */
import { errorBody } from "../../schema/errors.ts";
import { health } from "../../schema/health.ts";
import type { NetworkProbe } from "../network-probe.ts";
import { type Environment, targetOf } from "../network-settings.ts";
import type { Clock } from "../platform.ts";
import { type FaultWords, faultWords, strangerWords } from "./obstacle-words.ts";

/** Of one look at the whole way. */
export const LOOK_LIMIT_MS = 10_000;

export interface ObstacleInput {
  readonly probe: NetworkProbe;
  readonly clock: Clock;
  readonly environment: Environment;
  /** Of the control plane. */
  readonly url: string;
}

/** Null when nothing is in the way. Sends nothing that is a secret; throws the signal's reason alone. */
export async function findObstacle(
  { probe, clock, environment, url }: ObstacleInput,
  signal: AbortSignal,
): Promise<FaultWords | null> {
  const target = targetOf(environment, url);
  const limit = new AbortController();
  clock.sleep(LOOK_LIMIT_MS, limit.signal).then(
    () => limit.abort(new Error("no answer in time")),
    () => undefined,
  );
  const stop = AbortSignal.any([signal, limit.signal]);
  try {
    await probe.resolve((target.proxy ?? target).hostname, stop);
    const request = { path: "/api/health", fields: { Connection: "close" } };
    const answer = await probe.get(target, request, stop);
    const body = parseJson(answer.body);
    if (health.safeParse(body).success || errorBody.safeParse(body).success) return null;
    const { status, body: page } = answer;
    return strangerWords({ status, location: answer.header("location"), page }, target.hostname);
  } catch (error) {
    signal.throwIfAborted();
    return faultWords(error, target, limit.signal.aborted ? LOOK_LIMIT_MS : null);
  } finally {
    limit.abort();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
