/**
 * What an agent remembers of updates, in `update.json` in its state folder: apart from the database, because it is asked
 * before that is opened, by a version that may not be able to.
 */
import * as z from "zod";
import { releaseVersion } from "../../schema/release.ts";

export const UPDATE_FILE = "update.json";
/** The oldest is forgotten then; by that time newer ones are out. */
const FAILED_MAX = 50;

const updateMemory = z.strictObject({
  format: z.literal(1),
  /** The newest authentic release that was seen; nothing older is believed. */
  seen: z.strictObject({ serial: z.int(), sequence: z.int(), sha256: z.string() }).nullable(),
  /** Versions that did not work here. Never tried again. */
  failed: z.array(releaseVersion).max(FAILED_MAX),
  /** A version that was put in place and has not proved itself. */
  trial: z
    .strictObject({
      version: releaseVersion,
      previous: releaseVersion,
      /** The executable that was replaced. */
      executable: z.string(),
      /** How often the new one was started. */
      starts: z.int().min(0),
    })
    .nullable(),
});
export type UpdateMemory = z.infer<typeof updateMemory>;
export type Trial = NonNullable<UpdateMemory["trial"]>;

export class UpdateMemoryError extends Error {
  override readonly name = "UpdateMemoryError";
}

/** `text`: the file's, or null when there is none. Throws {@link UpdateMemoryError}: forgetting would let old releases in. */
export function parseUpdateMemory(text: string | null): UpdateMemory {
  if (text === null) return { format: 1, seen: null, failed: [], trial: null };
  try {
    return updateMemory.parse(JSON.parse(text));
  } catch (error) {
    throw new UpdateMemoryError(
      `Cannot understand ${UPDATE_FILE} in the state folder; without it updates are off. Remove it to begin anew`,
      { cause: error },
    );
  }
}

export function withFailed(memory: UpdateMemory, version: string): UpdateMemory {
  const others = memory.failed.filter((each) => each !== version);
  return { ...memory, failed: [...others, version].slice(-FAILED_MAX) };
}
