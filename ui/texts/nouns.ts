/** What texts are made with: the values put into them, and what is counted, for one and for any other number. */

/** What stands in a text as it is: formatted already, or a number that needs no format. */
export type Shown = string | number;

export type Plural = "one" | "other";

export const nouns = {
  blob: { one: "blob", other: "blobs" },
  day: { one: "day", other: "days" },
  entry: { one: "entry", other: "entries" },
  file: { one: "file", other: "files" },
  job: { one: "job", other: "jobs" },
  line: { one: "line", other: "lines" },
  link: { one: "link", other: "links" },
  movedFile: { one: "moved file", other: "moved files" },
  name: { one: "name", other: "names" },
  otherBrowser: { one: "other browser", other: "other browsers" },
  other: { one: "other", other: "others" },
  project: { one: "project", other: "projects" },
  sourceFile: { one: "source file", other: "source files" },
  specialFile: { one: "special file", other: "special files" },
  verifiedFile: { one: "verified file", other: "verified files" },
} as const;
export type Noun = keyof typeof nouns;
