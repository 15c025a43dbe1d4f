/**
 * Whether a source file may leave its place, as one pure function of recorded facts: fourteen conditions, in order, and
 * the first that does not hold decides. It knows no disk and no network; what nobody has looked at yet is null, and what
 * is null does not hold.
 *
 *  1 the job asks for it, with proofs       8 the file is what it was when it was read
 *  2 the machine's own policy allows it     9 the destination holds it, asked just now
 *  3 the job is wanted, its lease live     10 it was proved before it went to a tier that hides it
 *  4 a file, inside the root, on the       11 its time proves something, or it was read once more
 *    quarantine's volume, and no link      12 intent and undo list are durable
 *  5 read whole, known by one identity     13 what was moved is what was read
 *  6 hashed from what was sent             14 its days are over, and the destination still holds it
 *  7 accepted and named by the service
 */
import type { AccessTier, StayCode } from "../../schema/job.ts";
import type { Held, Lying } from "../connectors/connector.ts";
import type { Outcome } from "./page.ts";

export type Condition = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14;

export interface Failure {
  readonly condition: Condition;
  readonly code: StayCode;
}

/** A file younger than this when it was read may have been written to since, within one tick of its volume's clock. */
export const RACY_MS = 2_000;

export interface Facts {
  /** Removal was asked for, of a job that asks the destination for proofs. */
  readonly isAsked: boolean;
  /** Files that the job may still remove. */
  readonly filesLeft: number;
  readonly isAllowed: boolean;
  readonly isWanted: boolean;
  readonly lying: Lying | null;
  /** Of the entry, as it was read. */
  readonly sizeBytes: number;
  readonly outcome: Outcome | null;
  /** What the destination says, asked anew; "unreadable" when it would not say. */
  readonly held: Held | "unreadable" | null | undefined;
  /** Of an entry made of blocks, compared anew; null for others. */
  readonly blocks: Blocks | null;
  /** Its tier while it was proved. */
  readonly provedIn: AccessTier;
  /** No read of it began before this. */
  readonly readAfterMs: number;
  /** The SHA-256 of what lies there, read anew; null where nobody did. */
  readonly rehashed: string | null;
  readonly isRecorded: boolean;
  /** What was moved is the version that was read. */
  readonly isMovedSame: boolean | null;
  readonly purge: { readonly isDue: boolean; readonly isHeld: boolean } | null;
}

/** Of its block list: ours, another's with the same result, wrong, or not told (archived). */
export type Blocks = "ours" | "foreign" | "wrong" | "untold";

type Check = (facts: Facts) => StayCode | null;

/** The first of the conditions up to `last` that does not hold; null when all of them do. */
export function firstFailure(facts: Facts, last: Condition): Failure | null {
  for (const [index, check] of CHECKS.slice(0, last).entries()) {
    const code = check(facts);
    if (code !== null) return { condition: (index + 1) as Condition, code };
  }
  return null;
}

/** Whether only reading the file once more tells that it is the same. */
export function isRacy({ lying, readAfterMs }: Pick<Facts, "lying" | "readAfterMs">): boolean {
  return lying?.kind !== "something" || !(lying.modifiedMs <= readAfterMs - RACY_MS);
}

/** The last condition by itself: when its time comes, the others have been kept, and the file is not at its place any more. */
export function purgeFailure(purge: Facts["purge"]): StayCode | null {
  if (purge?.isDue !== true) return "not_due";
  return purge.isHeld ? null : "destination_unconfirmed";
}

const CHECKS: readonly Check[] = [
  ({ isAsked, filesLeft }) => (!isAsked ? "not_asked" : filesLeft > 0 ? null : "limit_reached"),
  ({ isAllowed }) => (isAllowed ? null : "not_allowed"),
  ({ isWanted }) => (isWanted ? null : "not_wanted"),
  placeFailure,
  identityFailure,
  ({ outcome }) => (/^[0-9a-f]{64}$/.test(sentOf(outcome)?.sha256 ?? "") ? null : "not_hashed"),
  ({ outcome }) => ((sentOf(outcome)?.etag ?? "") === "" ? "not_accepted" : null),
  ({ lying }) => (lying?.kind === "something" && lying.identity === "same" ? null : "changed_since_upload"),
  destinationFailure,
  ({ provedIn, blocks }) => (provedIn === "Archive" && blocks !== null ? "tier_before_proof" : null),
  (facts) =>
    isRacy(facts) && facts.rehashed !== (sentOf(facts.outcome)?.sha256 ?? "") ? "content_differs" : null,
  ({ isRecorded }) => (isRecorded ? null : "not_recorded"),
  ({ isMovedSame }) => (isMovedSame === true ? null : "changed_since_upload"),
  ({ purge }) => purgeFailure(purge),
];

function placeFailure({ lying }: Facts): StayCode | null {
  if (lying === null || lying.kind === "unreadable") return "source_unreadable";
  if (lying.kind === "nothing") return "source_vanished";
  if (!lying.isFile) return "not_a_file";
  if (!lying.isInside) return "outside_root";
  return lying.isOnVolume ? null : "other_volume";
}

function identityFailure({ lying, outcome, sizeBytes }: Facts): StayCode | null {
  const version = sentOf(outcome)?.version ?? null;
  if (version === null || lying?.kind !== "something" || lying.identity === "unknown")
    return "identity_unknown";
  if (lying.links !== 1) return "other_names";
  return lying.identity === "same" && lying.sizeBytes !== sizeBytes ? "not_read_whole" : null;
}

function destinationFailure({ outcome, held, blocks, sizeBytes }: Facts): StayCode | null {
  if (outcome?.state !== "completed" || outcome.proof === "none") return "not_proved";
  if (held === undefined || held === "unreadable") return "destination_unreadable";
  if (held === null) return "destination_vanished";
  if (held.etag !== outcome.etag) return "destination_replaced";
  if (held.sizeBytes !== sizeBytes || held.sha256 !== outcome.sha256) return "destination_differs";
  switch (blocks) {
    case null:
    case "ours":
      return null;
    case "wrong":
      return "destination_differs";
    case "foreign":
      return outcome.proof === "readback" ? null : "destination_differs";
    case "untold":
      return held.archived ? null : "destination_unreadable";
  }
}

/** Of what was proved: nothing else counts as sent. */
function sentOf(outcome: Outcome | null): Extract<Outcome, { state: "completed" }> | null {
  return outcome?.state === "completed" ? outcome : null;
}
