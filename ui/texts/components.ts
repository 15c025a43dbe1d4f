/** Texts of parts that stand on several pages which are fetched when they are opened. */
import type { Shown } from "./nouns.ts";

export const copyButton = {
  copied: "Copied",
  selectCopyHand: "Select it and copy by hand",
};

export const dialog = {
  close: "Close",
  nameSure: "Its name, to be sure",
  type: (typedName: Shown) => `Type ${typedName}`,
};

export const field = {
  optional: "optional",
};

export const formFrame = {
  cancel: "Cancel",
};

export const listTools = {
  newestFirst: "Newest first",
  byName: "By name",
  lastActiveFirst: "Last active first",
  byStatus: "By status",
  sort: "Sort",
  turnedRound: (sort: Shown) => `${sort}, turned round`,
  search: (what: Shown) => `Search ${what}`,
  noOfThisKind: (what: Shown) => `No ${what} of this kind`,
  noMatch: (what: Shown, search: Shown) => `No ${what} match “${search}”`,
  showAll: "Show all",
  onlyPartThemShown: "Only a part of them is shown; choose another part, or show all.",
  partNameEnoughCapitals: "A part of the name is enough; capitals do not count.",
};

export const moreButton = {
  showMore: "Show more",
};
