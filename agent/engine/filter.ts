/** Decides which files of a source a job moves. */
import type { Filters } from "../../schema/job.ts";
import type { Entry } from "../connectors/connector.ts";
import { compileGlob, decide } from "./glob.ts";

/** True for a file that the job moves: every given condition holds. */
export type Filter = (entry: Entry) => boolean;

export function compileFilter(filters: Filters): Filter {
  const include = filters.include.map(compileGlob);
  const exclude = filters.exclude.map(compileGlob);
  const before = filters.modifiedBefore === null ? Infinity : Date.parse(filters.modifiedBefore);
  const after = filters.modifiedAfter === null ? -Infinity : Date.parse(filters.modifiedAfter);
  const sizeMin = filters.sizeBytesMin ?? 0;
  const sizeMax = filters.sizeBytesMax ?? Infinity;
  // A list that begins by taking something back takes it back from everything.
  const includedAtFirst = include.length === 0 || include[0]?.negated === true;
  return (entry) =>
    entry.sizeBytes >= sizeMin &&
    entry.sizeBytes <= sizeMax &&
    entry.modifiedMs < before &&
    entry.modifiedMs >= after &&
    (include.length === 0 || decide(include, entry.path, { initial: includedAtFirst })) &&
    (exclude.length === 0 || !decide(exclude, entry.path, { initial: false }));
}
