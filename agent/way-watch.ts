/**
 * Looks at the way to the control plane while the agent cannot get through, and says what is in it: the session itself only
 * hears that a connection failed. Hears of lost sessions by the log; promises to look at most once a minute, and to say a
 * thing once until there is a connection again.
 */
import type { FaultWords } from "./commands/obstacle-words.ts";
import type { LogFields, Platform } from "./platform.ts";

/** A control plane that is only started anew is back by then. */
export const LOOK_AFTER_MS = 3_000;
export const LOOK_EVERY_MS = 60_000;

export interface WayWatchInput {
  readonly platform: Platform;
  readonly find: (signal: AbortSignal) => Promise<FaultWords | null>;
}

export class WayWatch {
  readonly #input: WayWatchInput;
  #isLost = false;
  #told = "";
  #wake: (() => void) | null = null;
  /** Ends the wait between two looks. */
  #reopened = new AbortController();

  constructor(input: WayWatchInput) {
    this.#input = input;
  }

  heard(event: string, fields: LogFields): void {
    if (event === "session_opened") {
      this.#isLost = false;
      this.#told = "";
      this.#reopened.abort();
      this.#reopened = new AbortController();
    }
    // Of what the control plane itself has said there is advice already.
    if (event !== "session_lost" || (fields["advice"] !== null && fields["status"] !== 403)) return;
    this.#isLost = true;
    this.#wake?.();
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { platform, find } = this.#input;
    const pause = (ms: number) =>
      platform.clock.sleep(ms, AbortSignal.any([signal, this.#reopened.signal])).catch(() => undefined);
    while (!signal.aborted) {
      if (!this.#isLost) await this.#untilLost(signal);
      await pause(LOOK_AFTER_MS);
      if (!this.#isLost || signal.aborted) continue;
      const found = await find(signal).catch(() => null);
      if (this.#isLost && found !== null && found.what !== this.#told) {
        this.#told = found.what;
        platform.log("way_blocked", { reason: found.what, advice: found.todo });
      }
      await pause(LOOK_EVERY_MS);
    }
  }

  async #untilLost(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        this.#wake = null;
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#wake = wake;
    });
  }
}
