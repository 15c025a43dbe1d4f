/**
 * A job's limit of the line: its own, or else what its project's schedule says now. It can be changed at any time.
 */
import type { JobConfig } from "../../schema/job.ts";
import type { Waiting } from "../../schema/protocol.ts";
import type { Clock } from "../platform.ts";
import type { Pace } from "../transport.ts";
import { capAt, followSchedule } from "./schedule.ts";
import type { Share, Throttle } from "./throttle.ts";

/** What of a job's config may change while it runs. */
export interface LineSettings {
  readonly bandwidthMbps: number | null;
  readonly schedule: JobConfig["schedule"];
}
export const NO_LINE_SETTINGS: LineSettings = { bandwidthMbps: null, schedule: null };

export function lineSettingsOf(config: JobConfig): LineSettings {
  return { bandwidthMbps: config.options.bandwidthMbps, schedule: config.schedule };
}

export class LineLimit implements Pace {
  readonly #throttle: Throttle;
  readonly #clock: Clock;
  readonly #share: Share;
  #settings: LineSettings;
  /** Ends the following of a schedule. */
  #following: AbortController | null = null;

  constructor(throttle: Throttle, clock: Clock, settings: LineSettings) {
    this.#throttle = throttle;
    this.#clock = clock;
    this.#settings = settings;
    this.#share = throttle.join(null);
    this.hold();
  }

  take(wantedBytes: number, signal: AbortSignal): number | Promise<number> {
    return this.#share.take(wantedBytes, signal);
  }

  change(settings: LineSettings): void {
    this.#settings = settings;
    this.hold();
  }

  /** The job works: its limit counts. */
  hold(): void {
    this.#unfollow();
    const { bandwidthMbps, schedule } = this.#settings;
    if (bandwidthMbps !== null || schedule === null) return this.#share.limit(bandwidthMbps);
    const following = (this.#following = new AbortController());
    const limit = (megabitsPerSecond: number | null) => this.#share.limit(megabitsPerSecond);
    followSchedule(schedule, limit, this.#clock, following.signal).catch(() => {
      // A zone that this system does not know: the customer's line is spared at any hour.
      if (!following.signal.aborted) this.#share.limit(schedule.outsideMbps);
    });
  }

  /** The job is paused, and binds nobody. */
  rest(): void {
    this.#unfollow();
    this.#share.limit(null);
  }

  leave(): void {
    this.#unfollow();
    this.#share.leave();
  }

  /** The limit that holds, which may be another job's; null when there is none. */
  get waiting(): Waiting | null {
    const { megabitsPerSecond } = this.#throttle;
    if (megabitsPerSecond === null) return null;
    return {
      reason: "bandwidth",
      megabitsPerSecond,
      untilMs: this.#untilMs(megabitsPerSecond),
      message: null,
    };
  }

  /** When the schedule will change it, if it is the schedule's. */
  #untilMs(megabitsPerSecond: number): number | null {
    const { bandwidthMbps, schedule } = this.#settings;
    if (bandwidthMbps !== null || schedule === null) return null;
    try {
      const now = capAt(schedule, this.#clock.now());
      return now.megabitsPerSecond === megabitsPerSecond ? now.untilMs : null;
    } catch {
      return null;
    }
  }

  #unfollow(): void {
    this.#following?.abort();
    this.#following = null;
  }
}
