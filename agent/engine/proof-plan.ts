/**
 * Which entries are read back, and in which tier an entry waits for its proof.
 *
 * What lies in the Archive tier can neither be read nor tells its blocks, and reading from Cool or Cold costs a fee per
 * gigabyte. So what is to be looked at closely is stored Hot, and goes to its tier when it is proved.
 */
import type { AccessTier, JobConfig } from "../../schema/job.ts";
import type { Page } from "./page.ts";
import type { Plan } from "./plan.ts";

/** Of a job that removes its source, at least as many are read back. */
export const DELETION_PERCENT_MIN = 1;

export class ProofPlan {
  readonly #tier: AccessTier;
  readonly #percent: number;
  readonly #wholeBytesMax: number;
  readonly #verify: boolean;
  readonly #checksum: (text: string) => number;
  readonly #firstPage: number;

  /** `checksum` spreads paths evenly; `firstPage` is that of the pass. */
  constructor(
    { destination, options }: JobConfig,
    plan: Plan,
    { checksum, firstPage }: { readonly checksum: (text: string) => number; readonly firstPage: number },
  ) {
    this.#checksum = checksum;
    this.#firstPage = firstPage;
    this.#tier = destination.tier;
    this.#verify = options.verify;
    const asked = options.verify ? options.readbackPercent : 0;
    this.#percent = options.deletion === null ? asked : Math.max(asked, DELETION_PERCENT_MIN);
    this.#wholeBytesMax = plan.wholeBytesMax;
  }

  /** By chance, but the same ones after a restart; and the first of the listing always. */
  isReadBack(page: Page, index: number): boolean {
    if (this.#percent === 0) return false;
    const isFirst = page.number === this.#firstPage && index === 0;
    return isFirst || this.#checksum(page.path(index)) % 100 < this.#percent;
  }

  landingTier(page: Page, index: number): AccessTier {
    if (this.#tier === "Hot" || !this.#verify) return this.#tier;
    const tellsBlocks = page.sizeBytes(index) > this.#wholeBytesMax && this.#tier === "Archive";
    return tellsBlocks || this.isReadBack(page, index) ? "Hot" : this.#tier;
  }

  /** Null when it lies there already. */
  tierAfterProof(page: Page, index: number): AccessTier | null {
    return this.landingTier(page, index) === this.#tier ? null : this.#tier;
  }
}
