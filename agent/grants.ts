/**
 * The grants of one run: asked for at the control plane, shared by all streams, renewed at half their life.
 *
 * One request is under way at a time, whoever waits for it. While the old grant is good it is handed out and the next is
 * fetched behind it, so that a control plane that is away for a while stops nobody before the grant really ends. A "no"
 * that time will not change stays a no for this run; while somebody has to sign in again at the dashboard the run waits,
 * says so ({@link Grants.heldUp}), and goes on by itself.
 */
import type { Grant } from "../schema/connector.ts";
import type { JobDestination } from "../schema/job.ts";
import type { JobErrorCode } from "../schema/errors.ts";
import type { Waiting } from "../schema/protocol.ts";
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

/** A person is what is waited for: asked about once a minute, drawn anew so that many agents do not come together. */
const SIGN_IN_MS_MIN = 45_000;
const SIGN_IN_MS_MAX = 75_000;
/** The control plane asks for a new sign-in, which is neither a failure nor for ever. */
const SIGN_IN_NEEDED = "AZURE_AUTH_EXPIRED";

export interface GrantsInput {
  readonly platform: Platform;
  readonly config: AgentConfig;
  readonly jobId: string;
  readonly epoch: number;
  readonly destination: JobDestination;
  /** What this machine says to the destination, as of now: why nothing is sent there, or null. */
  readonly policyRefusal: (destination: JobDestination) => string | null;
  /** Aborted when the run is over. */
  readonly signal: AbortSignal;
  /** The control plane no longer knows this epoch; the run is to be put down without a word. */
  readonly onStale: () => void;
}

/** A grant as it was given. */
export interface Given {
  readonly grant: Grant;
  /** Before it was asked for, by the monotonic clock. */
  readonly askedMs: number;
  /** The control plane's clock at that time. */
  readonly serverNowMs: number;
}

/** Asks once. Throws what the request throws, and {@link TransferError} for a grant that leads elsewhere. */
export async function askGrant(
  { platform, config, jobId, epoch, destination, policyRefusal }: Omit<GrantsInput, "signal" | "onStale">,
  signal: AbortSignal,
): Promise<Given> {
  const askedMs = platform.clock.monotonic();
  const { grant, serverNowMs } = await requestGrant(platform, config, { jobId, epoch }, signal);
  const refusal = destinationRefusal(grant, destination, config.url) ?? policyRefusal(destination);
  if (refusal !== null) throw permanent("DESTINATION_REFUSED", refusal);
  return { grant, askedMs, serverNowMs };
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
  /** What the control plane said when it asked for a new sign-in. */
  #signInNeeded: string | null = null;

  constructor(input: GrantsInput) {
    this.#input = input;
  }

  /** Why nobody gets a grant just now, when that is for a person to change; null while there is one. */
  get heldUp(): Waiting | null {
    if (this.#signInNeeded === null || this.#isGood(this.#held)) return null;
    return { reason: "authorization", untilMs: null, message: this.#signInNeeded };
  }

  current(signal: AbortSignal): Grant | Promise<Grant> {
    signal.throwIfAborted();
    if (this.#refused !== null) throw this.#refused;
    const held = this.#held;
    const now = this.#input.platform.clock.monotonic();
    if (held !== null && now < held.renewMs) return held.grant;
    const renewal = this.#renew(0);
    if (this.#isGood(held)) return held.grant;
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

  #isGood(held: HeldGrant | null): held is HeldGrant {
    return held !== null && this.#input.platform.clock.monotonic() < held.endMs - GRANT_LEFT_MS_MIN;
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
    const { platform, jobId, epoch, signal } = this.#input;
    if (delayMs > 0) await platform.clock.sleep(delayMs, signal);
    for (let tries = 0; ; tries++) {
      try {
        const { grant, askedMs, serverNowMs } = await askGrant(this.#input, signal);
        this.#signInNeeded = null;
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
        this.#signInNeeded = code === SIGN_IN_NEEDED ? error.message.slice(0, 300) : null;
      }
      if (this.#signInNeeded !== null) {
        const spread = platform.random.next() * (SIGN_IN_MS_MAX - SIGN_IN_MS_MIN);
        await platform.clock.sleep(SIGN_IN_MS_MIN + spread, signal);
        continue;
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
