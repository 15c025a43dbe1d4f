/** Makes ids with the Worker's clock and random source. */
import { ID_RANDOM_BYTES, newId, type IdKind } from "../../schema/ids.ts";

export function makeId(kind: IdKind): string {
  return newId(kind, Date.now(), crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES)));
}
