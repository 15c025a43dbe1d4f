import { expect, test } from "vitest";
import { splitActing, visibleLines, visibleText } from "./plain-text.ts";

test("[U3] characters that hide or reorder others are written out", () => {
  expect(visibleText("invoice\u202Efdp.exe")).toBe("invoice\\u{202E}fdp.exe");
  expect(visibleText("a\nb\u0000\u007f\u0085")).toBe("a\\u{A}b\\u{0}\\u{7F}\\u{85}");
  expect(visibleText("x\u200b\u2066\u2069\ufeff")).toBe("x\\u{200B}\\u{2066}\\u{2069}\\u{FEFF}");
  expect(visibleText("half \ud83d")).toBe("half \\u{D83D}");
});

test("[U3] names in any script and emoji stay as they are", () => {
  for (const name of [
    "Übersicht #3 50%.xlsx",
    "עברית.pdf",
    "日本語",
    "👩‍👩‍👧 Fotos ❤️",
    "می‌خواهم",
    "<img src=x onerror=alert(1)>",
  ]) {
    expect(visibleText(name)).toBe(name);
  }
});

test("[U3] the parts tell what was written out", () => {
  expect(splitActing("a\u202Eb")).toEqual([
    { text: "a", escaped: false },
    { text: "\\u{202E}", escaped: true },
    { text: "b", escaped: false },
  ]);
});

test("[U82] in a text of several lines the breaks stay, and nothing else acts", () => {
  expect(visibleLines("one\r\n\ttwo\u202Efdp.exe\u0007")).toBe("one\r\n\ttwo\\u{202E}fdp.exe\\u{7}");
  expect(visibleLines("Zoë & 日本 👩‍👩‍👧")).toBe("Zoë & 日本 👩‍👩‍👧");
});
