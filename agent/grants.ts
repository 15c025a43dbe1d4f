/**
 * The grants of one run: asked for at the control plane, shared by all streams, renewed at half their life.
 *
 * One request is under way at a time, whoever waits for it. While the old grant is good it is handed out and the next is
 * fetched behind it, so that a control plane that is away for a while stops nobody before the grant really ends. A "no"
 * that time will not change stays a no for this run.
 */
import type { Grant } from "../schema/connector.ts";
import type { JobDestination } from "../schema/job.ts";
import type { JobErrorCode } from "../schema/errors.ts";
import { ApiRefusal, ApiUnreachable, requestGrant } from "./api.ts";
import { backoffMs } from "./backoff.ts";
import type { AgentConfig } from "./config.ts";
import { TransferError, type GrantProvider } from "./connectors/connector.ts";
import type { Platform } from "./platform.ts";
import { destinationRefusal } from "./refusals.ts";

/** A grant with less than this left is not handed out: the request it is for must end before it does. */
export const GRANT_LEFT_MS_MIN = 2 * 60_000;
/** A grant that was refused as soon as it was made is not asked for again at once. */
export const REPLACE_MS_MIN = 5_000;

export interface GrantsInput {
  readonly platform: Platform;
  readonly config: AgentConfig;
  readonly jobId: string;
  readonly epoch: number;
  readonly destination: JobDestination;
  /** Aborted when the run is over. */
  readonly signal: AbortSignal;
  /** The control plane no longer knows this epoch; the run is to be put down without a word. */
  readonly onStale: () => void;
}

interface HeldGrant {
  readonly grant: Grant;
  readonly fetchedMs: number;
  readonly renewMs: number;
  readonly endMs: number;
}

const PERMANENT: Readonly<Partial<Record<string, JobErrorCode>>> = {
  NO_AZURE_CONNECTION: "NO_AZURE_CONNECTION",
  STORAGE_DENIED: "DESTINATION_DENIED",
};

export class Grants implements GrantProvider {
  readonly #input: GrantsInput;
  /** Times are monotonic: a clock set wrong must not end a grant, or keep one alive. */
  #held: HeldGrant | null = null;
  #renewal: Promise<HeldGrant> | null = null;
  #refused: TransferError | null = null;

  constructor(input: GrantsInput) {
    this.#input = input;
  }

  current(signal: AbortSignal): Grant | Promise<Grant> {
    signal.throwIfAborted();
    if (this.#refused !== null) throw this.#refused;
    const held = this.#held;
    const now = this.#input.platform.clock.monotonic();
    if (held !== null && now < held.renewMs) return held.grant;
    const renewal = this.#renew(0);
    if (held !== null && now < held.endMs - GRANT_LEFT_MS_MIN) return held.grant;
    return orAborted(renewal, signal).then(({ grant }) => grant);
  }

  async replace(stale: Grant, signal: AbortSignal): Promise<Grant> {
    const held = this.#held;
    // Another stream met the same refusal first, or the renewal was quicker.
    if (held === null || held.grant.sas !== stale.sas) return await this.current(signal);
    this.#held = null;
    const ageMs = this.#input.platform.clock.monotonic() - held.fetchedMs;
    return (await orAborted(this.#renew(REPLACE_MS_MIN - ageMs), signal)).grant;
  }

  #renew(delayMs: number): Promise<HeldGrant> {
    if (this.#renewal !== null) return this.#renewal;
    const renewal = this.#fetch(delayMs);
    this.#renewal = renewal;
    renewal.then(
      (held) => {
        this.#held = held;
        this.#renewal = null;
      },
      (error: unknown) => {
        // Kept for whoever asks next; the one who asked first may be content with the old grant.
        if (error instanceof TransferError) this.#refused = error;
        this.#renewal = null;
      },
    );
    return renewal;
  }

  /** Tries until there is an answer that counts, or the run is over. */
  async #fetch(delayMs: number): Promise<HeldGrant> {
    const { platform, config, jobId, epoch, destination, signal } = this.#input;
    if (delayMs > 0) await platform.clock.sleep(delayMs, signal);
    for (let tries = 0; ; tries++) {
      const askedMs = platform.clock.monotonic();
      try {
        const { grant, serverNowMs } = await requestGrant(platform, config, { jobId, epoch }, signal);
        const refusal = destinationRefusal(grant, destination, config.url);
        if (refusal !== null) throw permanent("DESTINATION_REFUSED", refusal);
        return {
          grant,
          fetchedMs: askedMs,
          renewMs: askedMs + (Date.parse(grant.renewAt) - serverNowMs),
          endMs: askedMs + (Date.parse(grant.expiresAt) - serverNowMs),
        };
      } catch (error) {
        if (!(error instanceof ApiRefusal) && !(error instanceof ApiUnreachable)) throw error;
        const { status, code } = error instanceof ApiRefusal ? error : { status: null, code: "UNREACHABLE" };
        platform.log("grant_not_given", { jobId, epoch, status, code, tries });
        const final = PERMANENT[code];
        // The control plane's own sentence says more than the code does.
        if (final !== undefined) throw permanent(final, error.message, error);
        if (status === 404 || status === 409) {
          this.#input.onStale();
          await aborted(signal);
        }
      }
      await platform.clock.sleep(Math.max(250, backoffMs(tries, platform.random.next())), signal);
    }
  }
}

function permanent(code: JobErrorCode, message: string, cause?: unknown): TransferError {
  return new TransferError({ scope: "job", code }, message, { retry: { kind: "never" }, cause });
}

/** Never resolves; rejects when the signal does its work. */
async function aborted(signal: AbortSignal): Promise<never> {
  return await orAborted(new Promise<never>(() => undefined), signal);
}

async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
