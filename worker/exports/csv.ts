/**
 * Tables as text: RFC 4180 with CRLF, every line with the same number of fields, in UTF-8.
 *
 * A file name is whatever somebody called a file, and spreadsheets take some texts for formulas. A cell that one of them
 * could begin to calculate gets an apostrophe in front, by which they know text (OWASP, "CSV Injection"). What already
 * begins so behind apostrophes gets one more, so that no two texts are written alike and {@link textOfCell} has it back.
 */

/** What a formula can begin with, their full-width forms, and what is skipped or cut off in front of it. */
const FORMULA = /^'*[=+\-@\t\r\n\0\uFF1D\uFF0B\uFF0D\uFF20]/;
/** A quote begins a quoted cell; blanks at the ends are kept by quotes alone. */
const QUOTED = /[",;\t\r\n\0]|^\s|\s$/;

export const BYTE_ORDER_MARK = "\uFEFF";

export type Cell = string | number | null;

export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(",")}\r\n`;
}

/** Numbers are written as they are, nothing as an empty cell. */
export function csvCell(value: Cell): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The text that was written, of a cell as a reader of tables hands it over. */
export function textOfCell(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell;
}
