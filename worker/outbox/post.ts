/**
 * One request to somebody outside, and what its answer means: within a limit of time, without following a redirect, and
 * without reading a byte of what is answered. So nothing a receiver says can reach a log, a row or a person, and an answer
 * without end costs nothing.
 */

/** The world as deliveries see it. */
export interface PostWorld {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** How long a receiver may take to begin its answer. */
  readonly answerLimitMs: number;
}

export const ANSWER_LIMIT_MS = 10_000;

/** What became of one try. */
export type Delivery =
  | { readonly kind: "accepted" }
  /** The receiver is not there, or takes nothing now: others for it need not be tried either. */
  | { readonly kind: "away"; readonly reason: string }
  /** This one may be accepted another time. */
  | { readonly kind: "later"; readonly reason: string }
  /** It never will be. */
  | { readonly kind: "never"; readonly reason: string };

export type Answer =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "silence"; readonly reason: string };

export async function post(
  world: PostWorld,
  request: { readonly url: string; readonly headers: Record<string, string>; readonly body: string },
): Promise<Answer> {
  const signal = AbortSignal.timeout(world.answerLimitMs);
  try {
    const response = await world.fetch(request.url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "TheOneMigrate/1", ...request.headers },
      body: request.body,
      redirect: "manual",
      signal,
    });
    const { status } = response;
    // A body that is broken off is no fault of the delivery.
    await response.body?.cancel().catch(() => undefined);
    return { kind: "status", status };
  } catch {
    // What the runtime says may quote the address.
    const reason = signal.aborted
      ? `It did not answer within ${world.answerLimitMs / 1_000} s`
      : "It could not be reached, or broke the connection off";
    return { kind: "silence", reason };
  }
}

/**
 * Refusals that may be over when somebody has changed a setting, or waited: a key that is not valid (yet), an address that is
 * not served (yet), a limit. They are of all that is sent there.
 */
const AWAY = new Set([401, 402, 403, 404, 405, 408, 421, 429]);
/** Those of one thing that another time may bring. All others are of what was sent, which will not change. */
const PASSING = new Set([409, 425]);

export function judge(answer: Answer): Delivery {
  if (answer.kind === "silence") return { kind: "away", reason: answer.reason };
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: "accepted" };
  if (status < 400) return { kind: "away", reason: `It answered ${status}, and redirects are not followed` };
  const reason = `It answered ${status}`;
  if (status >= 500 || AWAY.has(status)) return { kind: "away", reason };
  return { kind: PASSING.has(status) ? "later" : "never", reason };
}
