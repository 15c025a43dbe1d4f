/** What became of the source of an entry that was to be removed: as the journal keeps it, a text for each page. */
import type { Failure } from "./delete-gate.ts";

/**
 *     (nothing) ──▶ intended ──▶ removed ──▶ purged
 *         ▲             ├──────▶ stays, kept
 *         └──withdrawn──┘
 *
 * `intended` is durable before the file is touched: after a crash it lies at one of two places, and a look at both tells.
 * `removed` lies in the quarantine; so does `kept`, which is not what was proved and could not go back. `tag` is the part of
 * its name there that tells one attempt from another.
 */
export type Removal =
  | { readonly state: "intended" | "removed" | "purged" | "kept"; readonly tag: string }
  | { readonly state: "withdrawn" | "would_remove" }
  | ({ readonly state: "stays" } & Failure);

/** By the index of the entry in its page. */
export type Removals = Map<number, Removal>;

type RemovalText =
  | readonly [index: number, state: Removal["state"]]
  | readonly [index: number, state: Removal["state"], tag: string]
  | readonly [index: number, state: "stays", code: Failure["code"], condition: Failure["condition"]];

export function writeRemovals(removals: Removals): string {
  const text = Array.from(removals, ([index, removal]): RemovalText => {
    switch (removal.state) {
      case "stays":
        return [index, removal.state, removal.code, removal.condition];
      case "withdrawn":
      case "would_remove":
        return [index, removal.state];
      case "intended":
      case "removed":
      case "purged":
      case "kept":
        return [index, removal.state, removal.tag];
    }
  });
  return JSON.stringify(text);
}

export function readRemovals(text: string | null): Removals {
  const rows = text === null ? [] : (JSON.parse(text) as RemovalText[]);
  return new Map(rows.map((row) => [row[0], readRemoval(row)]));
}

function readRemoval(row: RemovalText): Removal {
  if (row.length === 4) return { state: "stays", code: row[2], condition: row[3] };
  const [, state, tag = ""] = row;
  switch (state) {
    case "withdrawn":
    case "would_remove":
      return { state };
    case "stays":
      return { state, code: "unsettled", condition: 13 };
    case "intended":
    case "removed":
    case "purged":
    case "kept":
      return { state, tag };
  }
}
