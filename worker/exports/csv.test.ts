import { describe, expect, test } from "vitest";
import { hostileCells, readCsv } from "../../test/contract/csv-reader.ts";
import { attachmentHeaders } from "./attachment.ts";
import { csvLine, textOfCell } from "./csv.ts";

const CORPUS = hostileCells();
/** What no cell may begin with, as it stands before a spreadsheet. */
const DANGEROUS = ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"];

describe("tables", () => {
  test("[H8] there are 200 hostile texts and more, all different", () => {
    expect(new Set(CORPUS).size).toBe(CORPUS.length);
    expect(CORPUS.length).toBeGreaterThanOrEqual(200);
  });

  test("[H8] of no hostile text a cell comes that begins as a formula", () => {
    for (const [cell = ""] of readCsv(CORPUS.map((text) => csvLine([text, 1])).join(""))) {
      expect(DANGEROUS.filter((sign) => cell.startsWith(sign))).toEqual([]);
    }
  });

  test("[H8] every hostile text is had back as it was, in any column and beside any other", () => {
    const lines = CORPUS.map((text, index) => [text, CORPUS[(index * 7 + 3) % CORPUS.length] ?? "", text]);
    const read = readCsv(lines.map((line) => csvLine(line)).join(""));
    expect(read.map((line) => line.map(textOfCell))).toEqual(lines);
  });

  test("[H8] no two texts are written alike", () => {
    expect(new Set(CORPUS.map((text) => csvLine([text]))).size).toBe(CORPUS.length);
  });

  test("[H8] what is harmless stays as it is: names with apostrophes, signs inside, numbers", () => {
    expect(csvLine(["'90s music", "a=b", "100%", -5, 0.25, null, "O'Brien", "e-mail@example.com"])).toBe(
      "'90s music,a=b,100%,-5,0.25,,O'Brien,e-mail@example.com\r\n",
    );
  });

  test("[H8] the reader that these tests trust refuses what is not RFC 4180", () => {
    for (const text of ["a", "a\n", 'a"b\r\n', '"a\r\n', '"a"b\r\n', "a\rb\r\n"]) {
      expect(() => readCsv(text), JSON.stringify(text)).toThrow(/RFC 4180/);
    }
    expect(readCsv('a,"b\r\n""c""",\r\n,\r\n')).toEqual([
      ["a", 'b\r\n"c"', ""],
      ["", ""],
    ]);
  });
});

describe("file names", () => {
  const headerOf = (name: string) =>
    attachmentHeaders({ kind: "report", name, ending: "csv", type: "text/csv" })["Content-Disposition"] ?? "";

  test("[H9] of every hostile text a header comes that is RFC 6266, and a name that no system stumbles over", () => {
    for (const text of [
      ...CORPUS,
      "CON",
      "nul.txt",
      "..",
      "a/b\\c",
      'x"; filename="evil.exe',
      "50%41",
      "\uD800",
      "🙂".repeat(99),
    ]) {
      const header = headerOf(text);
      const parsed =
        /^attachment; filename="([A-Za-z0-9._-]+)"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+)$/.exec(
          header,
        );
      expect(parsed, JSON.stringify([text.slice(0, 40), header])).not.toBeNull();
      const name = decodeURIComponent(parsed?.[2] ?? "");
      for (const one of [name, parsed?.[1] ?? ""]) {
        expect(one).toMatch(/^report-.*\.csv$/su);
        expect(one).not.toMatch(/[/\\:*?"<>|\p{Cc}\p{Cf}]|\.\./u);
        expect(new TextEncoder().encode(one).length).toBeLessThanOrEqual(255);
      }
    }
  });

  test("[H9] a name that everybody can read stays readable", () => {
    expect(headerOf("Ärzte & Söhne – First pass")).toBe(
      `attachment; filename="report-A_rzte_So_hne_First_pass.csv"; filename*=UTF-8''report-%C3%84rzte%20%26%20S%C3%B6hne%20%E2%80%93%20First%20pass.csv`,
    );
  });
});
